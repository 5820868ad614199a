"""How a component proves who it is: by a text that its RSA key reveals, or by its ED25519 signature. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from streams.access_state import Challenge, Component

RSA_OAEP: Final = "RSA_OAEP"
ED25519: Final = "ED25519"
ALGORITHMS: Final = frozenset({RSA_OAEP, ED25519})
DOMAIN: Final = "sensorium component sign-in 1"


def fingerprint(public_key: str) -> str:
    """What a key is called when it is not shown: SHA-256 of its PEM text, hexadecimal."""
    return sha256(public_key.encode()).hexdigest()


def signed_bytes(client_type: str, component_id: str, challenge_id: str, nonce: str) -> bytes:
    """What an ED25519 key signs: five lines of UTF-8 joined by LF, none at the end.

    The domain word, the audience (ROBOT or STORE), the component's id, the challenge's id and its nonce: a signature
    for one of them is worth nothing for another.
    """
    return "\n".join((DOMAIN, client_type, component_id, challenge_id, nonce)).encode()


def proves(owner: Component, challenge: Challenge, proof_sha256: str | None, signature: str | None) -> bool:
    """Whether an answer is right; the algorithm is the registered key's, whatever the caller would like."""
    match owner.algorithm:
        case "RSA_OAEP":
            return proof_sha256 is not None and hmac.compare_digest(
                proof_sha256.encode(), challenge.proof_sha256.encode()
            )
        case "ED25519":
            return signature is not None and challenge.nonce is not None and _signed(owner, challenge, signature)
        case _:
            return False


def _signed(owner: Component, challenge: Challenge, signature: str) -> bool:
    asked = signed_bytes(owner.client_type, owner.component_id, challenge.challenge_id, challenge.nonce or "")
    try:
        key = load_pem_public_key(owner.public_key.encode())
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(base64.b64decode(signature, validate=True), asked)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
