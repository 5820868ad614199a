"""Faces as PostgreSQL may search them: turned by a secret rotation, so that distances stay and coordinates do not.

The rotation is made of a key of the ring. It keeps a stolen table from being compared with photographs; what it does
not keep is in docs/decisions/0023. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

SIZE: Final = 128
_PURPOSE: Final = b"sensorium faces rotation 1"
Vector = NDArray[np.float32]


def rotated(vector: Vector, key: bytes) -> Vector:
    """A vector of 128 turned by the key's rotation; distances between vectors of one key are as before (to 1e-6)."""
    return np.asarray(rotation(key) @ vector.astype(np.float64), np.float32)


@lru_cache(16)
def rotation(key: bytes) -> NDArray[np.float64]:
    """An orthogonal matrix, uniform among all as far as who lacks the key can tell (Mezzadri 2007: QR of normals)."""
    turned, upper = np.linalg.qr(_normals(key))
    matrix = np.asarray(turned * np.sign(np.diag(upper)), np.float64)
    matrix.setflags(write=False)
    return matrix


def _normals(key: bytes) -> NDArray[np.float64]:
    """Normally distributed numbers out of the key alone, by a cipher: numpy's own generators may change."""
    stream = HKDF(SHA256(), 48, salt=None, info=_PURPOSE).derive(key)
    cipher = Cipher(AES256(stream[:32]), CTR(stream[32:])).encryptor()
    drawn = np.frombuffer(cipher.update(bytes(SIZE * SIZE * 16)), "<u8").reshape(2, SIZE, SIZE)
    first, second = (drawn >> np.uint64(11)) * 2.0**-53
    # Box and Muller 1958; 1 - u is never 0.
    return np.asarray(np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second), np.float64)
