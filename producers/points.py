"""Bulk bodies of seed 000 -> `EmotionPointsRecorded` events. Pure; msgspec reads the usual body, pydantic the rest."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from hashlib import sha256
from typing import Annotated, Any, Final, Protocol

import msgspec

from producers.leniency import (
    LARGEST_INT,
    LARGEST_LONG,
    LONGEST_ID,
    LONGEST_TIME,
    MOST_ROWS,
    PersonPointsPost,
    check_rows,
    read_points,
)
from producers.times import epoch_milliseconds
from schemas.emotions import LARGEST_AFFECT, NO_BOX
from schemas.serde import encoder

# A point of this event takes at most 320 bytes, so as many stay below 4 MiB, the largest message of `emotion.points`.
MOST_POINTS_PER_EVENT: Final = 10_000
_BOX: Final = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")

_Long = Annotated[int, msgspec.Meta(ge=-LARGEST_LONG - 1, le=LARGEST_LONG)]
_Pixel = Annotated[int, msgspec.Meta(ge=-LARGEST_INT, le=LARGEST_INT)]
_Affect = Annotated[float, msgspec.Meta(ge=-LARGEST_AFFECT, le=LARGEST_AFFECT)]
_Id = Annotated[str, msgspec.Meta(max_length=LONGEST_ID)]


class _Point(msgspec.Struct, gc=False):
    track_id: _Long
    absolute_time: Annotated[str, msgspec.Meta(max_length=LONGEST_TIME)]
    valence: _Affect
    arousal: _Affect
    session_person_id: _Long | msgspec.UnsetType = msgspec.UNSET
    bbox_x1: _Pixel | None = None
    bbox_y1: _Pixel | None = None
    bbox_x2: _Pixel | None = None
    bbox_y2: _Pixel | None = None


class _Post(msgspec.Struct, gc=False):
    device_id: _Id
    session_id: _Id
    records: list[_Point]


class _Record(Protocol):
    """What the columns are made of, whoever read the body."""

    track_id: int
    absolute_time: str
    valence: float
    arousal: float
    bbox_x1: int | None
    bbox_y1: int | None
    bbox_x2: int | None
    bbox_y2: int | None


@dataclass(slots=True)
class Points:
    """A bulk body in columns of equal length; `dialect` is V2 or V3 and `columns` has all but the times in ms."""

    device_id: str
    session_id: str
    dialect: str
    columns: dict[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.columns["track_id"])


_decoder = msgspec.json.Decoder(_Post)
_encode = encoder("EmotionPointsRecorded")


def parse(body: bytes, most: int = MOST_ROWS) -> Points:
    """A bulk body, with the leniency that the contract lists.

    Raises:
        producers.leniency.Unacceptable: with FastAPI's error list. producers.leniency.TooMuch: over `most` records.
    """
    return parse_strict(body, most) or parse_lenient(body, most)


def parse_strict(body: bytes, most: int = MOST_ROWS) -> Points | None:
    """The fast way, for bodies of exactly the documented types; None when somebody more lenient has to decide.

    Raises:
        producers.leniency.TooMuch: more than `most` records.
    """
    if b"\\u0000" in body:
        return None
    try:
        post = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    records = post.records
    check_rows("records", len(records), most)
    persons = [record.session_person_id for record in records]
    unnamed = persons.count(msgspec.UNSET)
    if unnamed == len(persons):
        return _anonymous(post.device_id, post.session_id, _columns(records))
    if unnamed:
        return None
    columns = _columns(records)
    columns["session_person_id"] = persons
    return Points(post.device_id, post.session_id, "V2", columns)


def parse_lenient(body: bytes, most: int = MOST_ROWS) -> Points:
    """The contract's way. Raises `producers.leniency.Unacceptable` or `TooMuch`."""
    post = read_points(body, most)
    columns = _columns(post.records)
    if not isinstance(post, PersonPointsPost):
        return _anonymous(post.device_id, post.session_id, columns)
    columns["session_person_id"] = [record.session_person_id for record in post.records]
    return Points(post.device_id, post.session_id, "V2", columns)


def encode(points: Points, zone: tzinfo | None, zone_name: str, most: int = MOST_POINTS_PER_EVENT) -> list[bytes]:
    """The events of a post, in order: one, or as many as keep every event below the topic's largest message.

    `zone` (None: the machine's) is where times without an offset are read; `zone_name` is what the event says of it.

    Raises:
        producers.times.UnreadableTime: the first such record; nothing of the post may be published then.
    """
    t_ms, any_naive = epoch_milliseconds(points.columns["absolute_time"], zone)
    event = {
        "device_id": points.device_id,
        "session_id": points.session_id,
        "dialect": points.dialect,
        "site_zone": zone_name if any_naive else None,
    }
    columns = points.columns | {"t_ms": t_ms}
    if len(t_ms) <= most:
        event |= columns
        return [_encode(event)]
    return [_encode(event | part) for part in _slices(columns, len(t_ms), most)]


def derived_person(device_id: str, session_id: str, columns: dict[str, Sequence[Any]]) -> int:
    """The `session_person_id` of a v3 post, negative: 52 bits of a SHA-256, so a retry is the same person."""
    digest = sha256()
    for text in (device_id, session_id, "\0".join(columns["absolute_time"])):
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    for name, code in (("track_id", "q"), ("valence", "d"), ("arousal", "d"), *((box, "i") for box in _BOX)):
        digest.update(_little_endian(array(code, columns[name])))
    return -1 - (int.from_bytes(digest.digest()[:7], "big") >> 4)


def _anonymous(device_id: str, session_id: str, columns: dict[str, Sequence[Any]]) -> Points:
    person = derived_person(device_id, session_id, columns)
    columns["session_person_id"] = [person] * len(columns["track_id"])
    return Points(device_id, session_id, "V3", columns)


def _columns(records: Sequence[_Record]) -> dict[str, Sequence[Any]]:
    """Row objects to columns; one comprehension per column is the fastest way measured (0.13 us a record)."""
    if len(records) == 1:  # a comprehension costs as much as six values of it
        return _columns_of_one(records[0])
    return {
        "track_id": [record.track_id for record in records],
        "absolute_time": [record.absolute_time for record in records],
        "valence": [record.valence for record in records],
        "arousal": [record.arousal for record in records],
        "bbox_x1": [NO_BOX if (x := record.bbox_x1) is None else x for record in records],
        "bbox_y1": [NO_BOX if (y := record.bbox_y1) is None else y for record in records],
        "bbox_x2": [NO_BOX if (x := record.bbox_x2) is None else x for record in records],
        "bbox_y2": [NO_BOX if (y := record.bbox_y2) is None else y for record in records],
    }


def _columns_of_one(record: _Record) -> dict[str, Sequence[Any]]:
    return {
        "track_id": [record.track_id],
        "absolute_time": [record.absolute_time],
        "valence": [record.valence],
        "arousal": [record.arousal],
        "bbox_x1": [NO_BOX if (x := record.bbox_x1) is None else x],
        "bbox_y1": [NO_BOX if (y := record.bbox_y1) is None else y],
        "bbox_x2": [NO_BOX if (x := record.bbox_x2) is None else x],
        "bbox_y2": [NO_BOX if (y := record.bbox_y2) is None else y],
    }


def _slices(columns: dict[str, Sequence[Any]], length: int, most: int) -> Iterator[dict[str, Sequence[Any]]]:
    for start in range(0, length, most):
        yield {name: column[start : start + most] for name, column in columns.items()}


def _little_endian(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
