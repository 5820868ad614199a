"""True and false matches of faces over all pairs of the sample photographs, as they are and made worse on purpose.

The persons were told apart by looking at the pictures. Eleven faces of eight people: a small sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.drivers.pictures import SAMPLE_FACES

Picture = NDArray[np.uint8]
ALL: Final = slice(None)
AS_IT_IS: Final = "as it is"
LEFT, RIGHT = slice(0, 600), slice(600, None)

PEOPLE: Final[Sequence[tuple[str, str, slice, str]]] = (
    ("obama.jpg", "Obama", ALL, "portrait"),
    ("obama2.jpg", "Obama", ALL, "speech"),
    ("two_people.jpg", "Obama", LEFT, "both"),
    ("biden.jpg", "Biden", ALL, "both"),
    ("two_people.jpg", "Biden", RIGHT, "both"),
    ("astronaut.png", "Collins", ALL, "astronaut"),
    ("angry.jpg", "man with a beard", ALL, "angry"),
    ("sad.jpg", "man in black", ALL, "sad"),
    ("happy.jpg", "woman smiling", ALL, "happy"),
    ("neutral.jpg", "woman in black", ALL, "neutral"),
    ("surprised.jpg", "woman surprised", ALL, "surprised"),
)
"""File, who is in it, which columns of it, and when it was taken: biden.jpg was cut out of the other one's session."""


def _turned(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _half(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


VARIANTS: Final[Mapping[str, tuple[Callable[[Picture], Picture], int]]] = {
    AS_IT_IS: (lambda picture: picture, 95),
    "half the size": (_half, 95),
    "mirrored": (lambda picture: np.asarray(cv2.flip(picture, 1), np.uint8), 95),
    "half as bright": (lambda picture: (picture * 0.5).astype(np.uint8), 95),
    "JPEG quality 30": (lambda picture: picture, 30),
    "turned by 10 degrees": (_turned, 95),
}
"""What is done to a picture, and the quality of the JPEG that it becomes."""


@dataclass(frozen=True)
class Sample:
    """A described face: of whom, from which picture and sitting, and what was done to that."""

    person: str
    picture: int
    sitting: str
    variant: str
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Rates:
    """Of so many pairs at a threshold."""

    true_match: float
    false_match: float


def encoded(picture: Picture, quality: int = 95) -> bytes:
    """As a JPEG file."""
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def pictures(variant: str) -> Iterator[tuple[int, bytes]]:
    """(index into PEOPLE, JPEG) of everybody."""
    change, quality = VARIANTS[variant]
    for number, (file, _, columns, _) in enumerate(PEOPLE):
        whole: Any = cv2.imread(str(SAMPLE_FACES / file))
        yield number, encoded(change(np.ascontiguousarray(whole[:, columns])), quality)


def described(work: Callable[[Mapping[str, Any]], Mapping[str, Any]], variants: Sequence[str]) -> list[Sample]:
    """Everybody by the worker of `streams.workers.faces`; where it finds no face, or several, there is no sample."""
    found: list[Sample] = []
    for variant in variants:
        for number, data in pictures(variant):
            faces = work({"picture": data, "purpose": "enrol"})["faces"]
            if len(faces) == 1:
                _, person, _, sitting = PEOPLE[number]
                vector = np.frombuffer(faces[0]["vector"], "<f4")
                found.append(Sample(person, number, sitting, variant, vector))
    return found


def distances(samples: Sequence[Sample]) -> tuple[list[float], list[float]]:
    """Between two sittings of a person; and between persons."""
    same: list[float] = []
    other: list[float] = []
    for one, two in itertools.combinations(samples, 2):
        distance = float(np.linalg.norm(one.vector - two.vector))
        if one.person != two.person:
            other.append(distance)
        elif one.sitting != two.sitting:
            same.append(distance)
    return same, other


def from_original(samples: Sequence[Sample], variant: str) -> list[float]:
    """How far what was done to a picture moves its face."""
    before = {one.picture: one.vector for one in samples if one.variant == AS_IT_IS}
    moved = [one for one in samples if one.variant == variant and one.picture in before]
    return [float(np.linalg.norm(one.vector - before[one.picture])) for one in moved]


def rates(same: Sequence[float], other: Sequence[float], threshold: float) -> Rates:
    """Which part of the pairs is taken for one person."""
    return Rates(sum(one <= threshold for one in same) / len(same), sum(one <= threshold for one in other) / len(other))
