"""Faces under test: vectors, envelopes, records, a decider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.envelope import KeyRing, seal
from streams.deciders import faces
from streams.decisions import Decider
from streams.topology import StateCodec
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
