"""What the seeds' FastAPI models accept and how they refuse it: digits in strings, `true` as 1, unknown keys. Pure."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from schemas.emotions import LARGEST_AFFECT

T = TypeVar("T")
LONGEST_ID: Final = 256  # characters; two of them fit one entry of a PostgreSQL index
LONGEST_TIME: Final = 64
LARGEST_LONG: Final = 2**63 - 1
LARGEST_INT: Final = 2**31 - 1
LONGEST_ECHO: Final = 16_384
MOST_ERRORS: Final = 100
MOST_SECONDS: Final = 1e9

# PostgreSQL's text holds everything but NUL.
Identifier = Annotated[str, Field(max_length=LONGEST_ID, pattern=r"\A[^\x00]*\z")]
Long = Annotated[int, Field(ge=-LARGEST_LONG - 1, le=LARGEST_LONG)]
Pixel = Annotated[int, Field(ge=-LARGEST_INT, le=LARGEST_INT)]
Affect = Annotated[float, Field(ge=-LARGEST_AFFECT, le=LARGEST_AFFECT, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=-MOST_SECONDS, le=MOST_SECONDS, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


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
    cumulative: dict[str, Seconds]


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


_points, _person_points = TypeAdapter(PointsPost), TypeAdapter(PersonPointsPost)
_totals, _frame = TypeAdapter(TotalsPost), TypeAdapter(FramePost)


def read_points(body: bytes) -> PointsPost | PersonPointsPost:
    """A bulk body, either dialect: any record that carries `session_person_id` makes it v2 and the key required.

    Raises:
        Unacceptable: with FastAPI's own error list.
    """
    raw = read_json(body)
    return _validate(_person_points, raw) if _names_persons(raw) else _validate(_points, raw)


def read_totals(body: bytes) -> TotalsPost:
    """A batch body. Raises `Unacceptable`."""
    return _validate(_totals, read_json(body))


def read_frame(body: bytes) -> FramePost:
    """A frame body. Raises `Unacceptable`."""
    return _validate(_frame, read_json(body))


def read_json(body: bytes) -> Any:
    """The body as Python's json reads it, as FastAPI does, NaN and Infinity included (the models refuse them).

    Raises:
        Unacceptable: 422 when it is no JSON or empty, 400 when it is no text.
    """
    if not body:
        raise Unacceptable(422, [_error("missing", ["body"], "Field required", None)])
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


def _names_persons(raw: Any) -> bool:
    records = raw.get("records") if isinstance(raw, dict) else None
    return isinstance(records, list) and any(isinstance(r, dict) and "session_person_id" in r for r in records)


def _validate(adapter: TypeAdapter[T], raw: Any) -> T:
    try:
        return adapter.validate_python(raw, from_attributes=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)[:MOST_ERRORS]
    raise Unacceptable(
        422, [{**found, "loc": ["body", *found["loc"]], "input": _echo(found["input"])} for found in errors]
    )


def _invalid_json(position: int, message: str) -> Unacceptable:
    error = _error("json_invalid", ["body", position], "JSON decode error", {})
    return Unacceptable(422, [error | {"ctx": {"error": message}}])


def _error(kind: str, loc: list[str | int], message: str, sent: Any) -> dict[str, Any]:
    return {"type": kind, "loc": loc, "msg": message, "input": sent}


def _echo(sent: Any) -> Any:
    """What was sent, as strict JSON of bounded size: NaN as text, a large input cut."""
    text = json.dumps(sent, default=str)
    if len(text) > LONGEST_ECHO:
        return text[:LONGEST_ECHO]
    return json.loads(text, parse_constant=str)
