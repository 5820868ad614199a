"""Read model `faces`: who is known by a face, to be searched by pgvector; who asked what about faces; who was seen.

The face itself lies here sealed, as it came, and once more turned by a secret rotation (`face_rotation`), which is what
is searched. Both are of no use without the key they were made with. Rows come from the compacted gallery alone, so a
deleted face is in no later build.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from projections.face_rotation import SIZE, rotated
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.store import Transaction
from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent
from schemas.record import Record

log = logging.getLogger(__name__)

MOST_WAITING: Final = 1_000
_PLACE: Final = "topic text NOT NULL, kafka_partition smallint NOT NULL, kafka_offset bigint NOT NULL"
_TABLES: Final = """
CREATE TABLE {s}.faces (
    user_id     text PRIMARY KEY,
    model       text NOT NULL,
    enrolled_at timestamptz NOT NULL,
    key_id      text NOT NULL,               -- sealed and turned with this key
    sealed      bytea NOT NULL,              -- the envelope's content: AES-256-GCM of a FaceTemplate
    rotated     public.vector({size}) NOT NULL,
    {place}
);
CREATE TABLE {s}.face_accesses (
    access_id text PRIMARY KEY,
    at        timestamptz NOT NULL,
    purpose   text NOT NULL,
    user_id   text,
    outcome   text NOT NULL,
    distance  real,
    by        text,
    {place}
);
CREATE INDEX face_accesses_about ON {s}.face_accesses (user_id, at);
CREATE TABLE {s}.face_sightings (
    sighting_id text PRIMARY KEY,
    seen_at     timestamptz NOT NULL,
    device_id   text NOT NULL,
    camera      text NOT NULL,
    user_id     text,                        -- null: nobody known
    distance    real,
    {place}
);
CREATE INDEX face_sightings_of ON {s}.face_sightings (user_id, seen_at);
"""
_AT: Final = "'epoch'::timestamptz + %s * interval '1 microsecond'"
_SET: Final = f"""
INSERT INTO faces VALUES (%s, %s, {_AT}, %s, %s, %s::real[], %s, %s, %s)
ON CONFLICT (user_id) DO UPDATE SET model = EXCLUDED.model, enrolled_at = EXCLUDED.enrolled_at,
    key_id = EXCLUDED.key_id, sealed = EXCLUDED.sealed, rotated = EXCLUDED.rotated,
    topic = EXCLUDED.topic, kafka_partition = EXCLUDED.kafka_partition, kafka_offset = EXCLUDED.kafka_offset
"""  # noqa: S608 - made of constants
_REMOVE: Final = "DELETE FROM faces WHERE user_id = %s"
_ACCESS: Final = (
    f"INSERT INTO face_accesses VALUES (%s, {_AT}, %s, %s, %s, %s, %s, %s, %s, %s)"  # noqa: S608 - made of constants
    " ON CONFLICT (access_id) DO NOTHING"
)
_SIGHT: Final = (
    f"INSERT INTO face_sightings VALUES (%s, {_AT}, %s, %s, %s, %s, %s, %s, %s)"  # noqa: S608 - made of constants
    " ON CONFLICT (sighting_id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A face that can be read: its model and its vector, turned."""

    model: str
    turned: list[float]


@dataclass(slots=True)
class Prepared:
    """A batch: the gallery's changes (None: no face, or none that can be read), what was told, decisions in order."""

    gallery: list[tuple[Event, Opened | None]] = field(default_factory=list[tuple[Event, Opened | None]])
    told: list[Event] = field(default_factory=list[Event])
    decided: list[Event] = field(default_factory=list[Event])

    def __bool__(self) -> bool:
        return bool(self.gallery or self.told or self.decided)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema, place=_PLACE, size=SIZE)


class Faces:
    """Writes faces, and answers who waits for one when it can be found.

    What was decided and the gallery's face are in different topics: the decision is often read first.
    """

    def __init__(self, target: Target) -> None:
        self._keyring = target.keyring
        self._decided: dict[str, Event] = {}
        self._waiting: dict[str, list[tuple[Event, Record]]] = {}

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Open the envelopes. Raises InvalidEvent for an altered one."""
        prepared = Prepared()
        for event in events:
            match event.name:
                case "GalleryFaceSet":
                    prepared.gallery.append((event, _opened(event, self._keyring)))
                case "FaceAccessed" | "FaceMatched":
                    prepared.told.append(event)
                case _:
                    prepared.decided.append(event)
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write the changes in their order."""
        for event, opened in prepared.gallery:
            _set(transaction, event, opened)
        for event in prepared.told:
            _remember(transaction, event)
        replies = [reply for event in prepared.decided for reply in self._settle(transaction, event)]
        for event, _ in prepared.gallery:
            replies += self._arrived(transaction, event)
        return Effects(replies=replies, rows=len(prepared.gallery) + len(prepared.told))

    def forget(self, *, distrust: bool = False) -> None:
        """Who waits is not answered any more, and goes on without."""
        self._decided.clear()
        self._waiting.clear()

    def _settle(self, transaction: Transaction, event: Event) -> list[Reply]:
        """Reply to who asked for what is decided, unless its face has yet to come."""
        if event.name != "CommandSettled":
            self._decided[event.body["user_id"]] = event
            return []
        user_id = (event.record.key or b"").decode("utf-8", "replace")
        decided = self._decided.pop(user_id, None)
        if event.record.header("reply-to") is None:
            return []
        if decided is None or not event.body["events"] or _shows(transaction, decided):
            return [Reply(event.record)]
        if len(self._waiting) < MOST_WAITING:
            self._waiting.setdefault(user_id, []).append((decided, event.record))
        return []

    def _arrived(self, transaction: Transaction, event: Event) -> list[Reply]:
        """Reply, in the name of the gallery's record, to whom it makes glad."""
        waiting = self._waiting.pop(event.body["user_id"], [])
        left = [one for one in waiting if not _shows(transaction, one[0])]
        if left:
            self._waiting[event.body["user_id"]] = left
        shown = [record for decided, record in waiting if (decided, record) not in left]
        return [Reply(replace(event.record, headers=record.headers)) for record in shown]


def _shows(transaction: Transaction, decided: Event) -> bool:
    """Whether the table is as far as this decision about a person."""
    user_id, at_us = decided.body["user_id"], decided.body["at_us"]
    if decided.name == "FaceEnrolled":
        return bool(transaction.rows(f"SELECT FROM faces WHERE user_id = %s AND enrolled_at >= {_AT}", user_id, at_us))
    return not transaction.rows(f"SELECT FROM faces WHERE user_id = %s AND enrolled_at <= {_AT}", user_id, at_us)


def _set(transaction: Transaction, event: Event, opened: Opened | None) -> None:
    body, record = event.body, event.record
    if opened is None:
        transaction.run(_REMOVE, body["user_id"])
        return
    face = body["face"]
    told = (body["user_id"], opened.model, body["at_us"], face["key_id"], face["content"], opened.turned)
    transaction.run(_SET, *told, record.topic, record.partition, record.offset)


def _remember(transaction: Transaction, event: Event) -> None:
    body, record = event.body, event.record
    place = (record.topic, record.partition, record.offset)
    if event.name == "FaceMatched":
        told = (body["sighting_id"], body["seen_us"], body["device_id"], body["camera"])
        transaction.run(_SIGHT, *told, body["user_id"], body["distance"], *place)
        return
    told = (body["access_id"], body["at_us"], body["purpose"], body["user_id"], body["outcome"], body["distance"])
    transaction.run(_ACCESS, *told, body["by"], *place)


def _opened(event: Event, keyring: KeyRing | None) -> Opened | None:
    face, user_id = event.body["face"], event.body["user_id"]
    if face is None:
        return None
    if keyring is None:
        raise ValueError("faces needs a key ring")
    if face["subject"] != f"face/{user_id}":
        raise InvalidEvent("The face is somebody else's.")
    template = unseal(keyring, face, "FaceTemplate")
    if isinstance(template, Forgotten):
        log.warning("%s: the key of a face is gone, which has no row therefore", event.record.coordinates)
        return None
    vector = np.frombuffer(template["vector"], "<f4")
    if vector.shape != (SIZE,) or not np.isfinite(vector).all():
        raise InvalidEvent(f"A face has {len(template['vector'])} bytes or is not finite.")
    return Opened(template["model"], rotated(vector, keyring.keys[face["key_id"]]).tolist())


_AND_PLACE: Final = ("topic", "kafka_partition", "kafka_offset")
_FACES: Final = ("user_id", "model", "enrolled_at", "key_id", "sealed")
_ACCESSES: Final = ("access_id", "at", "purpose", "user_id", "outcome", "by", *_AND_PLACE)
_SIGHTINGS: Final = ("sighting_id", "seen_at", "device_id", "camera", "user_id", *_AND_PLACE)
READ_MODEL = ReadModel(
    name="faces",
    topics=("faces.events", "faces.gallery", "faces.accesses", "security.matches"),
    ddl=tables,
    views={
        "faces": (*_FACES, "rotated", *_AND_PLACE),
        "face_accesses": (*_ACCESSES[:5], "distance", *_ACCESSES[5:]),
        "face_sightings": (*_SIGHTINGS[:5], "distance", *_SIGHTINGS[5:]),
    },
    projector=Faces,
    checksums={
        "faces": f"{', '.join((*_FACES, *_AND_PLACE))} | {{s}}.faces",
        "face_accesses": f"{', '.join(_ACCESSES)} | {{s}}.face_accesses",
        "face_sightings": f"{', '.join(_SIGHTINGS)} | {{s}}.face_sightings",
    },
    needs="vector",
)
