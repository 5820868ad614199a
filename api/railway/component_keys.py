"""Keys of robots and stores' terminals: which are taken, what is hidden with them, and noise that looks the same. Pure.

Source of the sizes: seed 003, "Authorisation of components"; RFC 8017 (RSAES-OAEP), RFC 8410 (Ed25519 as PEM).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import sha256
from typing import Annotated, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pydantic import AfterValidator, Field

RSA_OAEP: Final = "RSA_OAEP"
ED25519: Final = "ED25519"
SMALLEST: Final = 2048
LARGEST: Final = 8192
LONGEST: Final = 190
"""Bytes that the smallest RSA key can hide."""
_EXPONENTS: Final = range(65537, 1 << 32)
_BEGIN: Final = "-----BEGIN PUBLIC KEY-----"
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_LEAST: Final = 0xB504F333F9DE6484
"""The square root of 1/2, times 2**64: no prime of a key is smaller against its length."""


class ComponentKey(NamedTuple):
    """A public key as it is kept: PEM of SubjectPublicKeyInfo, and what it is used for."""

    pem: str
    algorithm: str


def parse(text: str) -> ComponentKey:
    """Read a public key. Raises ValueError unless it is RSA of 2048 to 8192 bits or Ed25519, in PEM."""
    if not text.strip().startswith(_BEGIN):
        raise ValueError("not a public key in PEM (SubjectPublicKeyInfo)")
    try:
        key = load_pem_public_key(text.strip().encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("not a public key in PEM (SubjectPublicKeyInfo)") from error
    match key:
        case Ed25519PublicKey():
            algorithm = ED25519
        case RSAPublicKey():
            _check(key)
            algorithm = RSA_OAEP
        case _:
            raise ValueError("neither RSA nor Ed25519")
    return ComponentKey(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), algorithm)


def _check(key: RSAPublicKey) -> None:
    numbers = key.public_numbers()
    if not SMALLEST <= key.key_size <= LARGEST:
        raise ValueError(f"an RSA key has {SMALLEST} to {LARGEST} bits here, not {key.key_size}")
    if numbers.e not in _EXPONENTS or numbers.e % 2 == 0 or numbers.n % 2 == 0:
        raise ValueError("an RSA key's exponent is 65537 here, or another odd number of 17 to 32 bits")


def _parsed(text: str) -> str:
    parse(text)
    return text


PublicKey = Annotated[str, Field(max_length=16_384), AfterValidator(_parsed)]
"""A body's field: PEM that `parse` takes; 422 else."""


def fingerprint(pem: str) -> str:
    """What a kept key is called when it is not shown: SHA-256 of its PEM, hexadecimal."""
    return sha256(pem.encode()).hexdigest()


def hidden(text: str, pem: str) -> str:
    """The text as only the key's holder can read it: RSA-OAEP (SHA-256, MGF1 with SHA-256, no label), base64."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise TypeError("only an RSA key hides something")
    return base64.b64encode(key.encrypt(text.encode(), _OAEP)).decode()


def decoy(component_id: str, secret: bytes) -> str:
    """Noise for somebody unknown: 256 bytes in base64, below a modulus that is this id's own and always the same.

    Of one modulus for all, many answers would show which ids share it, and so which are unknown.
    """
    digest = hmac.digest(secret, b"decoy\n" + component_id.encode("utf-8", "surrogatepass"), "sha256")
    halves = (int.from_bytes(digest[at : at + 8]) for at in (0, 8))
    first, second = (_LEAST + half % ((1 << 64) - _LEAST) for half in halves)
    modulus = first * second << (SMALLEST - 128)
    noise = secrets.randbelow(modulus)
    pow(noise, 5, modulus)  # takes about as long as hiding a text does
    return base64.b64encode(noise.to_bytes(SMALLEST // 8)).decode()
