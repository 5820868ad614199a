"""Base server, `/auth`: robots and stores' terminals register a key with an engineer's help, and sign in with it.

The protocol for clients is in docs/railway-sign-in.md. Whoever asks for an unknown id gets an answer that looks like
any other. A token is kept nowhere: only its hash leaves this process.
"""

from __future__ import annotations

import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from functools import partial
from hashlib import shake_256
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from api.attempts import AttemptLimits, Attempts
from api.commanding import id_of
from api.railway.asking import ACCESS, decided, new_id
from api.railway.component_keys import ED25519, LONGEST, RSA_OAEP, PublicKey, decoy, fingerprint, hidden, parse
from api.railway.engineer_check import ROBOT_LOGIN, STORE_LOGIN, EngineerCheck, begin
from api.railway.fields import STORABLE, Id
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import KEY, ROBOT, STORE, hash_of, invalid_credentials
from api.railway.store_admin import whole
from api.railway.store_shapes import Store
from projections.queries import railway_access

_NOBODY: Final = UUID(int=0)
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{86}==")
"""64 bytes in base64; a challenge's text holds no such characters, so none gets into the log by mistake."""
_FAILURES: Final = declared(401, 403, 404, 409, 429)


_CHALLENGES: Final = AttemptLimits(per_name=60, per_source=600)
_ANSWERS: Final = AttemptLimits(per_name=600, per_source=600)


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """Of one place in a minute: challenges for one id and in all, and answers to challenges."""

    challenges: AttemptLimits = _CHALLENGES
    answers: AttemptLimits = _ANSWERS


class Credentials(BaseModel):
    """An engineer's, and the public key: PEM of RSA (2048 to 8192 bits) or Ed25519."""

    login: Annotated[str, Field(max_length=255), STORABLE]
    password: Annotated[str, Field(max_length=255, repr=False), STORABLE]
    public_key: PublicKey


class NewRobot(Credentials):
    """A robot that is to sign in from now on."""

    robot_model_id: Annotated[str, Field(min_length=1, max_length=60), STORABLE]
    robot_model_name: Annotated[str, Field(max_length=60), STORABLE]


class NewTerminal(Credentials):
    """A store's terminal that is to sign in from now on."""

    store_id: Id


class Robot(BaseModel):
    """A robot that may sign in."""

    id: str
    robot_model_id: str
    robot_model_name: str


class Who(BaseModel):
    """Who wants to sign in: a robot's or store's id."""

    id: Annotated[str, Field(max_length=4096)]


class Challenge(BaseModel):
    """What the holder of the key can answer: base64 of RSA-OAEP; for an Ed25519 key the nonce in clear."""

    data: str
    request_id: str


class Answered(BaseModel):
    """The text that was read; of an Ed25519 key the signature in base64."""

    request_id: Annotated[str, Field(max_length=4096)]
    data: Annotated[str, Field(max_length=4096, repr=False)]


class Token(BaseModel):
    """For `Authorization: Bearer <token>`."""

    token: str


def build(railway: Railway) -> APIRouter:
    """The six routes; none of them wants a token."""
    router = APIRouter(prefix="/auth", tags=["auth"])
    _add_registration(router, railway, EngineerCheck(railway))
    desk = SignInDesk(railway)
    _add_sign_in(router, desk, "robot", ROBOT)
    _add_sign_in(router, desk, "store", STORE)
    return router


def _add_registration(router: APIRouter, railway: Railway, engineers: EngineerCheck) -> None:
    @router.post("/robot/new_login", summary="Register a robot's key", responses=_FAILURES)
    async def robot(request: Request, new: NewRobot) -> Robot:
        """With an engineer's login; an earlier robot of this model id is removed and its sessions end."""
        engineer_id = await engineers.who(request, new.login, new.password, ROBOT_LOGIN)
        named = {"robot_model_id": new.robot_model_id, "robot_model_name": new.robot_model_name}
        robot_id = new_id(request, engineer_id, f"robot/{new.robot_model_id}")
        record = {"robot_id": robot_id} | _registered(new, engineer_id) | named
        await decided(request, railway, "RegisterRobot", KEY, record, ACCESS)
        return Robot(id=robot_id, **named)

    @router.post("/store/new_login", summary="Register a terminal's key", responses=_FAILURES)
    async def store(request: Request, new: NewTerminal) -> Store:
        """With an engineer's login; the store's earlier key is replaced and its sessions end."""
        engineer_id = await engineers.who(request, new.login, new.password, STORE_LOGIN)
        await _store(railway, new.store_id)
        record = {"store_id": new.store_id} | _registered(new, engineer_id)
        await decided(request, railway, "RegisterTerminal", KEY, record, ACCESS)
        try:
            return await _store(railway, new.store_id)
        except HTTPException:  # deleted in between: its terminal was forgotten before it was registered
            await decided(request, railway, "ForgetTerminal", KEY, {"store_id": new.store_id, "by": None}, ACCESS)
            raise


async def _store(railway: Railway, store_id: str) -> Store:
    try:
        return await whole(railway, store_id)
    except HTTPException as unknown:
        raise HTTPException(404, "Store id not found") from unknown


def _registered(new: Credentials, engineer_id: str) -> dict[str, Any]:
    key = parse(new.public_key)
    return {"engineer_id": engineer_id, "public_key": key.pem, "algorithm": key.algorithm, "by": engineer_id}


def _add_sign_in(router: APIRouter, desk: SignInDesk, prefix: str, client_type: str) -> None:
    @router.post(f"/{prefix}/login", summary="Ask for a challenge", responses=declared(409, 429))
    async def login(request: Request, who: Who) -> Challenge:
        """200 for every id, known or not. A challenge lives half a minute and is good for one answer."""
        return await desk.challenge(request, client_type, who.id)

    @router.post(f"/{prefix}/login_code", summary="Answer a challenge", responses=declared(401, 409, 429))
    async def login_code(request: Request, answered: Answered) -> Token:
        """A token, or 401; the challenge is spent either way. A retry with its `Idempotency-Key` gets it again."""
        return await desk.answer(request, client_type, answered)


class SignInDesk:
    """Gives challenges and takes answers."""

    def __init__(self, railway: Railway) -> None:
        self._railway = railway
        limits: SignInLimits = railway.extra.get("sign_in_limits") or SignInLimits()
        self._challenges, self._answers = Attempts(limits.challenges), Attempts(limits.answers)
        ring = railway.keyring
        self._secret = hmac.digest(ring.keys[ring.current], b"railway sign-in", "sha256")

    async def challenge(self, request: Request, client_type: str, component_id: str) -> Challenge:
        """A challenge for the component, or what looks like one. Raises HTTPException 429, 503; Unavailable."""
        known_as = _uuid(component_id) or _NOBODY
        begin(self._challenges, self._railway.client(request), str(known_as))
        asked = partial(railway_access.component, client_type=client_type, component_id=known_as)
        key = await self._railway.database.read(asked)
        whose = f"challenge/{client_type}/{known_as}"
        challenge_id, text = new_id(request, None, whose), self._text(request, whose)
        record = {
            "challenge_id": challenge_id,
            "client_type": client_type,
            "component_id": str(known_as),
            "proof_sha256": hash_of(text),
            "nonce": text if key and key["algorithm"] == ED25519 else None,
            "life_ms": _ms(self._railway.options.auth_request_timeout),
            "by": None,
        }
        answer = await decided(request, self._railway, "IssueChallenge", KEY, record, ACCESS)
        return Challenge(data=self._data(component_id, text, key, answer.result or {}), request_id=challenge_id)

    async def answer(self, request: Request, client_type: str, answered: Answered) -> Token:
        """A token for the right answer. Raises HTTPException 401, 429, 503."""
        begin(self._answers, self._railway.client(request), "")
        challenge_id = _uuid(answered.request_id)
        if challenge_id is None:
            raise invalid_credentials()
        token = self._token(request, f"token/{client_type}/{challenge_id}")
        record = {
            "challenge_id": str(challenge_id),
            "client_type": client_type,
            "proof_sha256": hash_of(answered.data),
            "signature": answered.data if _SIGNATURE.fullmatch(answered.data) else None,
            "session_id": new_id(request, None, f"session/{challenge_id}"),
            "token_sha256": hash_of(token),
            "life_ms": _ms(self._railway.options.auth_session_timeout),
            "by": None,
        }
        answer = await decided(request, self._railway, "AnswerChallenge", KEY, record, ACCESS)
        if not (answer.result or {}).get("opened"):
            raise invalid_credentials()
        return Token(token=token)

    def _data(self, component_id: str, text: str, key: dict[str, Any] | None, told: Any) -> str:
        """Only for the key that the decision was made about: one that was just replaced reads nothing any more."""
        if key is None or told.get("key_sha256") != fingerprint(key["public_key"]):
            return decoy(component_id, self._secret)
        return hidden(text, key["public_key"]) if key["algorithm"] == RSA_OAEP else text

    def _text(self, request: Request, whose: str) -> str:
        """Text of a challenge: random; under an `Idempotency-Key` the same one again, for the same component only."""
        options = self._railway.options
        length, pool = min(options.auth_code_length, LONGEST), options.symbols_pool
        given = id_of(request, None)
        if given is None:
            return "".join(secrets.choice(pool) for _ in range(length))
        stream = shake_256(self._secret + f"{whose}\n{given}".encode()).digest(8 * length)
        return "".join(pool[int.from_bytes(stream[at : at + 8]) % len(pool)] for at in range(0, 8 * length, 8))

    def _token(self, request: Request, whose: str) -> str:
        """A token, shaped as a UUID: random; under an `Idempotency-Key` the same one again."""
        given = id_of(request, None)
        if given is None:
            return str(uuid.uuid4())
        digest = hmac.digest(self._secret, f"{whose}\n{given}".encode(), "sha256")
        return str(UUID(bytes=digest[:16], version=4))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
