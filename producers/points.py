"""Bulk bodies of seed 000 -> `EmotionPointsRecorded` events. Pure; msgspec reads the usual body, pydantic the rest."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple

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
from producers.times import epoch_millisecond, epoch_milliseconds
from schemas.emotions import LARGEST_AFFECT, NO_BOX
from schemas.serde import PointRow, encode_point, encoder

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


class Events(NamedTuple):
    """What a post becomes: encoded events in order, none for a post without points; `anonymous` is dialect V3."""

    device_id: str
    anonymous: bool
    values: list[bytes]


@dataclass(slots=True)
class Points:
    """A bulk body in columns of equal length; `dialect` is V2 or V3 and `columns` has all but the times in ms."""

    device_id: str
    session_id: str
    dialect: str
    columns: dict[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.columns["track_id"])


_SHORT: Final = 1024  # bytes; nearly all bodies of one point are shorter, of three points longer
_decoder = msgspec.json.Decoder(_Post)
_encode = encoder("EmotionPointsRecorded")


def events(body: bytes, zone: tzinfo | None, zone_name: str, most: int = MOST_ROWS) -> Events:
    """The events of a bulk body; raises what `parse` and `encode` raise."""
    points = parse(body, most)
    values = encode(points, zone, zone_name) if len(points) else []
    return Events(points.device_id, points.dialect == "V3", values)


def event_of_one(body: bytes, zone: tzinfo | None, zone_name: str) -> Events | None:
    """The event of a short body with one point of exactly the documented types; None when `events` has to read it.

    For devices that post every point at once, without the columns: 4 us instead of 12.

    Raises:
        producers.times.UnreadableTime: the point's.
    """
    if len(body) > _SHORT or b"\\u0000" in body:
        return None
    try:
        post = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(post.records) != 1:
        return None
    (row,) = post.records
    person = row.session_person_id
    if person is msgspec.UNSET:
        return None
    t_ms, naive = epoch_millisecond(row.absolute_time, zone)
    head = (post.device_id, post.session_id, "V2", zone_name if naive else None)
    return Events(post.device_id, False, [encode_point(head, person, t_ms, row)])


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


def _columns(records: Sequence[PointRow]) -> dict[str, Sequence[Any]]:
    """Row objects to columns; one comprehension per column is the fastest way measured (0.13 us a record)."""
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


def _slices(columns: dict[str, Sequence[Any]], length: int, most: int) -> Iterator[dict[str, Sequence[Any]]]:
    for start in range(0, length, most):
        yield {name: column[start : start + most] for name, column in columns.items()}


def _little_endian(values: array[Any]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
