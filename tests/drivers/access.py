"""Access to the railway under test: its decider, commands and events, and keys."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.envelope import KeyRing, seal
from streams.deciders import access
from streams.decisions import Decider
from streams.topology import StateCodec
from tests.drivers.deciding import AT_US, RING, Case

EVA, IVAN = "0f9d3c1e-0000-4000-8000-0000000000e1", "0f9d3c1e-0000-4000-8000-0000000000e2"
R1, R2 = "0f9d3c1e-0000-4000-8000-0000000000a1", "0f9d3c1e-0000-4000-8000-0000000000a2"
S1, S2 = "0f9d3c1e-0000-4000-8000-0000000000b1", "0f9d3c1e-0000-4000-8000-0000000000b2"
BY = {"by": "token"}
AT = {"at_us": AT_US}
SECOND = 1_000_000
Told = tuple[str, Mapping[str, Any]]


def decider_of(ring: KeyRing = RING) -> Decider[access.State]:
    """The decider alone."""
    decide, evolve = access.decider(ring)
    return Decider("access", "railway.commands", "railway.events", decide, evolve, StateCodec(access.State, 1))


def given(*events: Told, ring: KeyRing = RING) -> Case:
    """Access after these events."""
    made = decider_of(ring)
    state = access.State()
    for name, record in events:
        state = made.evolve(state, name, record)
    return Case(made, state)


def named(engineer_id: str = EVA, login: str | None = "eva", ring: KeyRing = RING) -> dict[str, Any]:
    """A CreateEngineer."""
    details = {"login": login, "password_hash": "h"}
    return {
        "engineer_id": engineer_id,
        "details": seal(ring, f"engineer/{engineer_id}", "EngineerDetails", details),
    } | BY


def created(asked: Mapping[str, Any]) -> Told:
    """What becomes of it."""
    return "EngineerCreated", {**asked, **AT}


def may(engineer_id: str, privileges: int) -> Told:
    """An engineer's privileges."""
    return "EngineerPrivilegesSet", {"engineer_id": engineer_id, "privileges": privileges} | AT | BY


def carded(engineer_id: str, mark: str | None, card_id: str = S2) -> dict[str, Any]:
    """A SetAuthCard."""
    return {"engineer_id": engineer_id, "card_id": card_id, "card_mark": mark} | BY


def robot(robot_id: str = R1, model: str = "m1", key: str = "pem", algorithm: str = "RSA_OAEP") -> dict[str, Any]:
    """A RegisterRobot."""
    told = {"robot_id": robot_id, "robot_model_id": model, "robot_model_name": "Robot"}
    return told | {"engineer_id": EVA, "public_key": key, "algorithm": algorithm} | BY


def terminal(store_id: str = S1, key: str = "pem", algorithm: str = "RSA_OAEP") -> dict[str, Any]:
    """A RegisterTerminal."""
    return {"store_id": store_id, "engineer_id": EVA, "public_key": key, "algorithm": algorithm} | BY


def asking(challenge_id: str = "c1", component_id: str = R1, **changed: Any) -> dict[str, Any]:
    """An IssueChallenge to a robot: the text is `text`."""
    told = {"challenge_id": challenge_id, "client_type": "ROBOT", "component_id": component_id}
    return told | {"proof_sha256": digest("text"), "nonce": None, "life_ms": 30_000} | BY | changed


def issued(challenge_id: str = "c1", component_id: str = R1, **changed: Any) -> Told:
    """What becomes of it; `at_us` is when."""
    at_us = changed.get("at_us", AT_US)
    record = asking(challenge_id, component_id) | {"at_us": at_us, "expires_us": at_us + 30 * SECOND} | changed
    return "ChallengeIssued", {name: value for name, value in record.items() if name != "life_ms"}


def answering(challenge_id: str = "c1", text: str | None = "text", **changed: Any) -> dict[str, Any]:
    """An AnswerChallenge of a robot."""
    proof = digest(text) if text is not None else None
    told = {"challenge_id": challenge_id, "client_type": "ROBOT", "proof_sha256": proof, "signature": None}
    return told | {"session_id": "s1", "token_sha256": digest("token"), "life_ms": 3_600_000} | BY | changed


def answered(challenge_id: str = "c1", *, passed: bool = True) -> Told:
    """A challenge is spent."""
    return "ChallengeAnswered", {"challenge_id": challenge_id, "passed": passed} | AT | BY


def opened(session_id: str = "s1", component_id: str = R1, **changed: Any) -> Told:
    """A session of an hour; `at_us` is when it began."""
    at_us = changed.get("at_us", AT_US)
    record = {"session_id": session_id, "client_type": "ROBOT", "component_id": component_id, "at_us": at_us}
    told = {"token_sha256": digest("token"), "expires_us": at_us + 3600 * SECOND}
    return "SessionOpened", record | told | BY | changed


def revoked(session_id: str, reason: str) -> Told:
    """A session ended."""
    return "SessionRevoked", {"session_id": session_id, "reason": reason} | AT | BY


def digest(text: str) -> str:
    """SHA-256, hexadecimal."""
    return sha256(text.encode()).hexdigest()


@functools.cache
def rsa_key(bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """A private key, the same one for all tests: making one is slow."""
    return rsa.generate_private_key(exponent, bits)


def pem_of(key: rsa.RSAPrivateKey | Ed25519PrivateKey) -> str:
    """Its public half as clients send it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
