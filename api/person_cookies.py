"""What a browser keeps of a sign-in: sealed cookies, unreadable and unchangeable to it, short-lived. No tokens."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.openid import Person

SESSION: Final = "sensorium-session"
ATTEMPT: Final = "sensorium-sign-in"
ATTEMPT_S: Final = 600.0
LONGEST: Final = 4096  # RFC 6265, 6.1
_NONCE: Final = 12
_SIGNED_OUT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way: what the provider's answer has to fit, and which page is wanted afterwards."""

    state: str
    nonce: str
    verifier: str
    page: str


class Cookies:
    """Seals and opens them under a key made from `secret`; every process with that secret knows them.

    A session lasts `session_s` from signing in, however much it is used; then the provider is asked again. One that
    was signed out is remembered in this process until it would have ended.
    """

    def __init__(self, secret: str, session_s: float = 3600.0, now: Callable[[], float] = time.time) -> None:
        kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"sensorium cookies of people")
        self._box, self._now, self.session_s = AESGCM(kdf.derive(secret.encode())), now, session_s
        self._signed_out: dict[str, float] = {}

    def of_person(self, person: Person) -> str:
        """A session's cookie."""
        said = {"id": secrets.token_urlsafe(16), "sub": person.subject, "name": person.name}
        return self._seal(SESSION, said | {"roles": sorted(person.roles)}, self.session_s)

    def person(self, text: str) -> Person | None:
        """Whose session it is; None for one that has ended, and for anything else."""
        said = self._open(SESSION, text)
        if said is None or said["id"] in self._signed_out:
            return None
        return Person(said["sub"], said["name"], frozenset(said["roles"]))

    def end(self, text: str) -> None:
        """Let a session count no more."""
        said = self._open(SESSION, text)
        if said is None:
            return
        now = self._now()
        if len(self._signed_out) >= _SIGNED_OUT:
            self._signed_out = {one: until for one, until in self._signed_out.items() if until > now}
        self._signed_out[said["id"]] = said["until"]

    def of_attempt(self, attempt: Attempt) -> str:
        """A sign-in's cookie, good for ten minutes."""
        said = {"state": attempt.state, "nonce": attempt.nonce, "verifier": attempt.verifier, "page": attempt.page}
        return self._seal(ATTEMPT, said, ATTEMPT_S)

    def attempt(self, text: str) -> Attempt | None:
        """The sign-in under way; None for one that took too long, and for anything else."""
        said = self._open(ATTEMPT, text)
        return None if said is None else Attempt(said["state"], said["nonce"], said["verifier"], said["page"])

    def _seal(self, kind: str, said: Mapping[str, Any], seconds: float) -> str:
        nonce = secrets.token_bytes(_NONCE)
        body = json.dumps({**said, "until": self._now() + seconds}, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(nonce + self._box.encrypt(nonce, body, kind.encode())).decode()

    def _open(self, kind: str, text: str) -> dict[str, Any] | None:
        if not text or len(text) > LONGEST or not text.isascii():
            return None
        try:
            sealed = base64.urlsafe_b64decode(text)
            said: dict[str, Any] = json.loads(self._box.decrypt(sealed[:_NONCE], sealed[_NONCE:], kind.encode()))
        except (binascii.Error, InvalidTag, ValueError):
            return None
        return said if said["until"] > self._now() else None
