"""The gallery of known faces in memory: the compacted topic `faces.gallery`, followed by a thread, compared at once.

Nothing is kept but what can be read with the keys of today, and it is gone with the process. Every face is compared
with every other, so nobody is missed: 10,000 cost a third of a millisecond.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas import serde
from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent, TransientFailure
from schemas.faces import MODEL
from streams.log_reader import LogReader, PositionLost, TopicPartition

log = logging.getLogger(__name__)

TOPIC: Final = "faces.gallery"
SIZE: Final = 128
RETRY_S: Final = 1.0
_CANDIDATES: Final = 8
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Match:
    """Whose face it is (None: nobody known), and how far the nearest one is (None: the gallery is empty)."""

    user_id: str | None
    distance: float | None


class Gallery:
    """Faces by person, as rows of a matrix; the newest of a person counts. Knows no Kafka. For several threads."""

    def __init__(self, ring: KeyRing, match_distance: float) -> None:
        """Faces `match_distance` apart (Euclidean) or less are one person's."""
        self._ring, self._match_distance = ring, match_distance
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._people: list[str] = []
        self._faces: Vector = np.empty((64, SIZE), np.float32)
        self._squares: Vector = np.empty(64, np.float32)

    def __len__(self) -> int:
        return len(self._people)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the topic in; one without a value, a face or a key to it lets the person go.

        Raises:
            InvalidEvent: it is no face of that person; the one before it is gone all the same.
        """
        user_id = (key or b"").decode("utf-8", "replace")
        try:
            face = None if value is None else _face(user_id, value, self._ring)
        except InvalidEvent:
            self._forget(user_id)
            raise
        if face is None:
            self._forget(user_id)
        else:
            self._keep(user_id, face)

    def clear(self) -> None:
        """Let everybody go."""
        with self._lock:
            self._rows.clear()
            self._people.clear()

    def match(self, vector: bytes) -> Match:
        """Whose face it is. `vector`: 128 little-endian float32. Raises InvalidEvent for anything else."""
        wanted = _vector(vector)
        with self._lock:
            count = len(self._people)
            if not count:
                return Match(None, None)
            row, distance = _nearest(self._faces[:count], self._squares[:count], wanted)
            return Match(self._people[row] if distance <= self._match_distance else None, distance)

    def _keep(self, user_id: str, face: Vector) -> None:
        with self._lock:
            row = self._rows.setdefault(user_id, len(self._people))
            if row == len(self._people):
                self._people.append(user_id)
                self._make_room(row + 1)
            self._faces[row], self._squares[row] = face, face @ face

    def _forget(self, user_id: str) -> None:
        """The last row takes the place of the one that goes, whose numbers are wiped."""
        with self._lock:
            row = self._rows.pop(user_id, None)
            if row is None:
                return
            moved, last = self._people.pop(), len(self._people)
            if moved != user_id:
                self._people[row], self._rows[moved] = moved, row
                self._faces[row], self._squares[row] = self._faces[last], self._squares[last]
            self._faces[last], self._squares[last] = 0, 0

    def _make_room(self, rows: int) -> None:
        if rows > len(self._faces):
            self._faces = np.concatenate((self._faces, np.empty_like(self._faces)))
            self._squares = np.concatenate((self._squares, np.empty_like(self._squares)))


class FollowedGallery:
    """The capability `gallery`: a gallery that a thread keeps as the topic is. A `streams.steps.Heavy`.

    Request: `vector`. Answer: `user_id` and `distance`. Nothing is answered before the topic was read to its end.
    """

    def __init__(
        self, bootstrap: str, gallery: Gallery, *, topic: str = TOPIC, reader: Callable[[], LogReader] | None = None
    ) -> None:
        """`reader` makes the reader of the log; the usual one is made of `bootstrap`."""
        self.gallery, self._topic = gallery, topic
        self._reader = reader or (lambda: LogReader(bootstrap, "faces-gallery"))
        self._over, self._known = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="faces-gallery", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether everybody enrolled before the start is known."""
        return self._known.is_set()

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._thread.start()

    async def close(self) -> None:
        """Stop reading; the thread lets go by itself."""
        self._over.set()

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Compare a face with all. Raises TransientFailure while the gallery is being read, InvalidEvent."""
        if not self.ready:
            raise TransientFailure("the gallery of faces is still being read")
        match = self.gallery.match(request["vector"])
        return {"user_id": match.user_id, "distance": match.distance}

    def _run(self) -> None:
        with self._reader() as reader:
            while not self._over.is_set():
                try:
                    self._follow(reader)
                except (TransientFailure, PositionLost) as failure:
                    log.warning("%s cannot be read: %s", self._topic, failure)
                    self._over.wait(RETRY_S)

    def _follow(self, reader: LogReader) -> None:
        """Read from the beginning: compacted, it is as long as there are people."""
        starts = {TopicPartition(self._topic, one): at for one, at in reader.beginning_offsets(self._topic).items()}
        ends = {TopicPartition(self._topic, one): at for one, at in reader.end_offsets(self._topic).items()}
        self._known.clear()
        self.gallery.clear()
        reader.assign(starts)
        while not self._over.is_set():
            for record in reader.poll_batch(timeout_s=0.2):
                try:
                    self.gallery.apply(record.key, record.value)
                except InvalidEvent as stranger:
                    log.warning("%s is passed over: %s", record.coordinates, stranger)
            if not self.ready and reader.at_end(ends):
                self._known.set()
                log.info("%d faces are known", len(self.gallery))


def _face(user_id: str, value: bytes, ring: KeyRing) -> Vector | None:
    name, record = serde.decode(value)
    if name != "GalleryFaceSet":
        raise InvalidEvent(f"{TOPIC} has a {name}.")
    sealed = record["face"]
    if sealed is None:
        return None
    if record["user_id"] != user_id or sealed["subject"] != f"face/{user_id}":
        raise InvalidEvent("The face is somebody else's.")
    template = unseal(ring, sealed, "FaceTemplate")
    if isinstance(template, Forgotten) or template["model"] != MODEL:
        return None
    return _vector(template["vector"])


def _vector(numbers: bytes) -> Vector:
    if len(numbers) != 4 * SIZE:
        raise InvalidEvent(f"A face has {len(numbers)} bytes, not {4 * SIZE}.")
    vector = np.frombuffer(numbers, "<f4").astype(np.float32)
    if not np.isfinite(vector).all():
        raise InvalidEvent("A face is not finite.")
    return vector


def _nearest(faces: Vector, squares: Vector, wanted: Vector) -> tuple[int, float]:
    """Row and distance of the nearest face: candidates by |a|^2 - 2ab, then exactly."""
    # Not `@`: OpenBLAS would wake its threads for a fifth of a millisecond's work, and wait for busy cores.
    rough = squares - 2 * np.einsum("ij,j->i", faces, wanted)
    few = np.argpartition(rough, _CANDIDATES)[:_CANDIDATES] if len(rough) > _CANDIDATES else np.arange(len(rough))
    exact = np.linalg.norm(faces[few].astype(np.float64) - wanted, axis=1)
    best = int(exact.argmin())
    return int(few[best]), float(exact[best])
