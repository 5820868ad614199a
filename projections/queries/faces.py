"""Whose face it is, and who has one. Reads `faces`, which holds faces turned by a secret rotation (`face_rotation`)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from projections.face_rotation import SIZE, rotated
from schemas.envelope import KeyRing

if TYPE_CHECKING:
    from projections.queries.database import Connection

_NEAREST: Final = """
    SELECT f.user_id, f.rotated OPERATOR(public.<->) %(vector)s::real[]::public.vector AS distance FROM faces f
    WHERE f.key_id = %(key_id)s AND f.model = %(model)s AND f.user_id IS DISTINCT FROM %(but)s
    ORDER BY distance, f.user_id LIMIT 1
"""
_HAS: Final = "SELECT FROM faces WHERE user_id = %s AND key_id = ANY(%s)"
_EVERYBODY: Final = "SELECT user_id FROM faces WHERE key_id = ANY(%s) ORDER BY enrolled_at, user_id"


@dataclass(frozen=True, slots=True)
class Nearest:
    """The person whose face is nearest, and how far away it is."""

    user_id: str
    distance: float


async def nearest(
    connection: Connection, vector: bytes, model: str, ring: KeyRing, *, but: str | None = None
) -> Nearest | None:
    """The nearest face of that model (`vector`: its little-endian float32), `but` one person's; None: nobody is there.

    Faces sealed with different keys are turned differently, so each key of the ring is asked for. Every face is
    compared: an index of neighbours misses some (docs/decisions/0022).
    """
    numbers = np.array(struct.unpack(f"<{SIZE}f", vector), np.float32)
    found: list[Nearest] = []
    for key_id, key in ring.keys.items():
        turned = rotated(numbers, key).tolist()
        asked: dict[str, Any] = {"vector": turned, "key_id": key_id, "model": model, "but": but}
        row = await (await connection.execute(_NEAREST, asked)).fetchone()
        if row is not None:
            found.append(Nearest(row["user_id"], row["distance"]))
    return min(found, key=lambda one: (one.distance, one.user_id), default=None)


async def has(connection: Connection, user_id: str, ring: KeyRing) -> bool:
    """Whether a person has a face whose key is still there."""
    return await (await connection.execute(_HAS, (user_id, list(ring.keys)))).fetchone() is not None


async def everybody(connection: Connection, ring: KeyRing) -> Sequence[str]:
    """The ids of all who have one, the first enrolled first."""
    rows = await (await connection.execute(_EVERYBODY, (list(ring.keys),))).fetchall()
    return [str(row["user_id"]) for row in rows]
