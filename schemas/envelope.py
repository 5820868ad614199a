"""Personal data inside an event: sealed with a key of a ring, so that destroying the key forgets the data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import FORGOTTEN, Forgotten, InvalidEvent
from schemas.serde import decode, encode

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class KeyRing:
    """AES-256 keys by id; new data is sealed with `current`."""

    keys: Mapping[str, bytes]
    current: str

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """A ring from lines `key_id hex`; the last line is the current key.

        Raises:
            ValueError: a line is not an id and 64 hexadecimal digits, or there is none.
        """
        keys: dict[str, bytes] = {}
        for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
            key_id, _, digits = line.strip().partition(" ")
            try:
                keys[key_id] = bytes.fromhex(digits)
            except ValueError as error:
                raise ValueError(f"Line {number} of the key ring is not `key_id hex`.") from error
            if len(keys[key_id]) != 32:
                raise ValueError(f"Key {key_id} of the key ring has {len(keys[key_id])} bytes, not 32.")
        if not keys:
            raise ValueError("The key ring is empty.")
        return cls(keys, list(keys)[-1])

    @staticmethod
    def fresh_text() -> str:
        """The text of a new ring with one random key, under an id that no other ring has."""
        return f"k{os.urandom(4).hex()} {os.urandom(32).hex()}\n"


def seal(ring: KeyRing, subject: str, event: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """An envelope (`subject`, `key_id`, `content`) holding `record` as Avro, bound to its subject and event."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(ring.keys[ring.current]).encrypt(nonce, encode(event, record), _bound_to(subject, event))
    return {"subject": subject, "key_id": ring.current, "content": nonce + sealed}


def unseal(ring: KeyRing, envelope: Mapping[str, Any], event: str) -> dict[str, Any] | Forgotten:
    """The record inside, or FORGOTTEN when the ring has lost its key.

    Raises:
        InvalidEvent: the content was altered, or moved from another subject or event.
    """
    key = ring.keys.get(envelope["key_id"])
    if key is None:
        return FORGOTTEN
    content: bytes = envelope["content"]
    try:
        opened = AESGCM(key).decrypt(
            content[:_NONCE_BYTES], content[_NONCE_BYTES:], _bound_to(envelope["subject"], event)
        )
    except (InvalidTag, ValueError) as error:
        raise InvalidEvent(f"The envelope of {event} does not open with key {envelope['key_id']}.") from error
    name, record = decode(opened)
    if name != event:
        raise InvalidEvent(f"The envelope holds a {name}, not a {event}.")
    return record


def _bound_to(subject: str, event: str) -> bytes:
    return f"{subject}\n{event}".encode()
