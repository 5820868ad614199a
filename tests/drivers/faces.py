"""Faces under test: vectors, envelopes, records, a decider, children that describe pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.railway.face_desk import Describe, Described
from schemas.envelope import KeyRing, seal
from streams.deciders import faces
from streams.decisions import Decider
from streams.topology import StateCodec
from streams.workers.pool import ChildLimits, ChildPool
from tests.drivers.deciding import RING, Case

ANNA, BORIS = "0f9d3c1e-0000-4000-8000-00000000000a", "0f9d3c1e-0000-4000-8000-00000000000b"
MODEL = "dlib-resnet-1"
DECIDER: Decider[Any] = Decider(
    "faces", "faces.commands", "faces.events", *faces.decider(RING), StateCodec(faces.State, version=1)
)
Vector = NDArray[np.float32]


def vector(seed: int, near: float = 0.0) -> Vector:
    """A face that depends on the seed; with `near` one that far away from it."""
    random = np.random.default_rng(seed)
    made = _of_length(random.normal(size=128), 1.4)
    return made if not near else (made + _of_length(random.normal(size=128), near)).astype("<f4")


def _of_length(numbers: NDArray[np.float64], length: float) -> Vector:
    return (numbers * (length / np.linalg.norm(numbers))).astype("<f4")


def face(user_id: str, numbers: Vector, *, ring: KeyRing = RING, model: str = MODEL) -> dict[str, Any]:
    """A sealed face."""
    return seal(ring, f"face/{user_id}", "FaceTemplate", {"model": model, "vector": numbers.astype("<f4").tobytes()})


def given(*events: tuple[str, Mapping[str, Any]]) -> Case:
    """The decider of faces after these events."""
    state = faces.State()
    for name, record in events:
        state = faces.evolve(state, name, record)
    return Case(DECIDER, state)


def children() -> ChildPool:
    """A child that finds and describes faces, with the limits of the real one."""
    return ChildPool("streams.workers.faces:open_worker", {}, ChildLimits(memory_bytes=1 << 30, seconds=20))


def described_by(pool: ChildPool) -> Describe:
    """What a desk asks about a picture."""

    async def describe(picture: bytes, purpose: str, /) -> Sequence[Described]:
        answer = await pool({"picture": picture, "purpose": purpose})
        return [Described(one["vector"], one["quality"]) for one in answer["faces"]]

    return describe
