"""What the seeds' FastAPI models accept and how they refuse it: digits in strings, `true` as 1, unknown keys. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from schemas.emotions import LARGEST_AFFECT

T = TypeVar("T")
R = TypeVar("R")
LONGEST_ID: Final = 256  # characters; two of them fit one entry of a PostgreSQL index
LONGEST_TIME: Final = 64
LARGEST_LONG: Final = 2**63 - 1
LARGEST_INT: Final = 2**31 - 1
LONGEST_ECHO: Final = 16_384
MOST_ERRORS: Final = 100
MOST_SECONDS: Final = 1e8  # three years; the sums of ninety thousand people stay exact in 64 bits
MOST_ROWS: Final = 10_000
MOST_CONTAINERS: Final = 25 * MOST_ROWS  # objects and arrays in a body: 3 bytes of text can be 190 of memory
_SLICE: Final = 100  # values checked at once: pydantic collects every error of a call, and each costs 1 kB

# PostgreSQL's text holds everything but NUL.
Identifier = Annotated[str, Field(max_length=LONGEST_ID, pattern=r"\A[^\x00]*\z")]
Long = Annotated[int, Field(ge=-LARGEST_LONG - 1, le=LARGEST_LONG)]
Pixel = Annotated[int, Field(ge=-LARGEST_INT, le=LARGEST_INT)]
Affect = Annotated[float, Field(ge=-LARGEST_AFFECT, le=LARGEST_AFFECT, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=-MOST_SECONDS, le=MOST_SECONDS, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _in_slices(sent: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check an object of any length without more errors than one slice has: the first bad slice ends it."""
    if not isinstance(sent, dict) or len(sent) <= _SLICE:
        return check(sent)
    entries, checked = iter(sent.items()), {}
    while part := dict(islice(entries, _SLICE)):
        checked |= check(part)
    return checked


class Point(BaseModel):
    """One record of a v3 post, in which a post is one person."""

    track_id: Long
    absolute_time: Annotated[str, Field(max_length=LONGEST_TIME, pattern=r"\A[^\x00]*\z")]
    valence: Affect
    arousal: Affect
    bbox_x1: Pixel | None = None
    bbox_y1: Pixel | None = None
    bbox_x2: Pixel | None = None
    bbox_y2: Pixel | None = None


class PersonPoint(Point):
    """One record of a v2 post, which names its person."""

    session_person_id: Long


class PointsPost(BaseModel):
    """A v3 body of the bulk route."""

    device_id: Identifier
    session_id: Identifier
    records: list[Point]


class PersonPointsPost(BaseModel):
    """A v2 body of the bulk route."""

    device_id: Identifier
    session_id: Identifier
    records: list[PersonPoint]


class PersonTotals(BaseModel):
    """Seconds per emotion that one person has shown since the device's program started."""

    person_id: Identifier
    cumulative: Annotated[dict[str, Seconds], WrapValidator(_in_slices)]


class TotalsPost(BaseModel):
    """A body of the batch route."""

    device_id: Identifier
    timestamp: str
    people: list[PersonTotals]


class FramePost(BaseModel):
    """A body of the frame route: a JPEG in base64."""

    device_id: Identifier
    frame_b64: str
    timestamp: datetime | None = None
    fps: Finite = 0.0


class Unacceptable(ValueError):
    """A body that FastAPI answers with 422 (or 400 when it is no text); `detail` is what the answer says."""

    def __init__(self, status: int, detail: str | list[dict[str, Any]]) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.detail = detail


class TooMuch(ValueError):
    """A body with more rows or values than are taken; its text says so."""


class _PointsHead(BaseModel):
    device_id: Identifier
    session_id: Identifier
    records: list[Any]


class _TotalsHead(BaseModel):
    device_id: Identifier
    timestamp: str
    people: list[Any]


_writer = json.JSONEncoder(default=str)
_points_head, _totals_head = TypeAdapter(_PointsHead), TypeAdapter(_TotalsHead)
_points, _person_points = TypeAdapter(list[Point]), TypeAdapter(list[PersonPoint])
_people, _frame = TypeAdapter(list[PersonTotals]), TypeAdapter(FramePost)


def read_points(body: bytes, most: int = MOST_ROWS) -> PointsPost | PersonPointsPost:
    """A bulk body, either dialect: any record that carries `session_person_id` makes it v2 and the key required.

    Raises:
        Unacceptable: with FastAPI's own error list, cut. TooMuch: more than `most` records.
    """
    raw = read_json(body)
    rows = _rows(raw, "records", most)
    if any(isinstance(row, dict) and "session_person_id" in row for row in rows):
        head, persons = _validate_rows(_points_head, _person_points, raw, "records", rows)
        return PersonPointsPost.model_construct(device_id=head.device_id, session_id=head.session_id, records=persons)
    head, records = _validate_rows(_points_head, _points, raw, "records", rows)
    return PointsPost.model_construct(device_id=head.device_id, session_id=head.session_id, records=records)


def read_totals(body: bytes, most: int = MOST_ROWS) -> TotalsPost:
    """A batch body. Raises `Unacceptable`, or `TooMuch` for more than `most` people."""
    raw = read_json(body)
    head, people = _validate_rows(_totals_head, _people, raw, "people", _rows(raw, "people", most))
    return TotalsPost.model_construct(device_id=head.device_id, timestamp=head.timestamp, people=people)


def read_frame(body: bytes) -> FramePost:
    """A frame body. Raises `Unacceptable` or `TooMuch`."""
    head, errors = _validate(_frame, read_json(body))
    if head is None:
        raise _unacceptable(errors)
    return head


def check_rows(name: str, count: int, most: int) -> None:
    """Raises `TooMuch` for more than `most` rows."""
    if count > most:
        raise TooMuch(f"A post may have {most} {name}, this one has {count}")


def read_json(body: bytes) -> Any:
    """The body as Python's json reads it, as FastAPI does, NaN and Infinity included (the models refuse them).

    Raises:
        Unacceptable: 422 when it is no JSON or empty, 400 when it is no text. TooMuch: it would take too much memory.
    """
    if not body:
        raise Unacceptable(422, [_error("missing", ["body"], "Field required", None)])
    if len(body) > MOST_CONTAINERS and body.count(b"{") + body.count(b"[") > MOST_CONTAINERS:
        raise TooMuch(f"A post may have {MOST_CONTAINERS} objects and arrays, this one has more")
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise _invalid_json(error.pos, error.msg) from error
    except UnicodeDecodeError as error:
        raise Unacceptable(400, "There was an error parsing the body") from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise _invalid_json(0, "Number too long") from error
    except RecursionError as error:
        raise _invalid_json(0, "Nested too deeply") from error


def not_json(body: bytes) -> Unacceptable:
    """The refusal of a body whose content type is not JSON."""
    message = "Input should be a valid dictionary or object to extract fields from"
    text = body[:LONGEST_ECHO].decode("utf-8", "replace")
    return Unacceptable(422, [_error("model_attributes_type", ["body"], message, text)])


def _rows(raw: Any, name: str, most: int) -> list[Any]:
    """The list of that name, empty when there is none. Raises `TooMuch`."""
    rows = raw.get(name) if isinstance(raw, dict) else None
    if not isinstance(rows, list):
        return []
    check_rows(name, len(rows), most)
    return rows


def _validate_rows(
    head: TypeAdapter[T], row: TypeAdapter[list[R]], raw: Any, name: str, rows: Sequence[Any]
) -> tuple[T, list[R]]:
    """What stands around the rows, and the rows, a slice at a time until there are enough errors.

    The rows are their model's last field, so the errors come in pydantic's order. Raises `Unacceptable`.
    """
    around, errors = _validate(head, raw)
    checked: list[R] = []
    for start in range(0, len(rows), _SLICE):
        part, found = _validate(row, rows[start : start + _SLICE])
        errors += [{**one, "loc": (name, start + one["loc"][0], *one["loc"][1:])} for one in found]
        if len(errors) >= MOST_ERRORS:
            break
        checked += part or ()
    if around is None or errors:
        raise _unacceptable(errors)
    return around, checked


def _validate(adapter: TypeAdapter[T], raw: Any) -> tuple[T | None, list[dict[str, Any]]]:
    try:
        return adapter.validate_python(raw, from_attributes=True), []
    except ValidationError as error:
        return None, [{**found} for found in error.errors(include_url=False)[:MOST_ERRORS]]


def _unacceptable(errors: list[dict[str, Any]]) -> Unacceptable:
    """422 with FastAPI's list; what several errors show (a row that lacks several fields) is prepared once."""
    shown = errors[:MOST_ERRORS]
    echoes = {id(found["input"]): found["input"] for found in shown}
    for key, sent in echoes.items():
        echoes[key] = _echo(sent)
    return Unacceptable(
        422, [{**found, "loc": ["body", *found["loc"]], "input": echoes[id(found["input"])]} for found in shown]
    )


def _invalid_json(position: int, message: str) -> Unacceptable:
    error = _error("json_invalid", ["body", position], "JSON decode error", {})
    return Unacceptable(422, [error | {"ctx": {"error": message}}])


def _error(kind: str, loc: list[str | int], message: str, sent: Any) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": message, "input": sent}


def _echo(sent: Any) -> Any:
    """What was sent, as strict JSON of bounded size: NaN as text, a large input cut, and no more of it written."""
    chunks: list[str] = []
    length = 0
    try:
        for chunk in _writer.iterencode(sent):
            chunks.append(chunk)
            length += len(chunk)
            if length > LONGEST_ECHO:
                return "".join(chunks)[:LONGEST_ECHO]
    except RecursionError:
        return "".join(chunks)
    text = "".join(chunks)
    return json.loads(text, parse_constant=str)
