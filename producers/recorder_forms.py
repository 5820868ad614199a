"""What recorders send, checked: chunk forms, silences, drops; their times, clocks and identities. Pure."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, ValidationError

from producers.leniency import LARGEST_INT, LARGEST_LONG, Unacceptable
from producers.times import EPOCH
from schemas.identity import NAMESPACE

FILE: Final = "chunk_file"
OFFSET_NOTED_US: Final = 5_000_000
_LONGEST_US: Final = LARGEST_INT * 1_000_000  # a duration is a 32 bit number of seconds in the tables
_MICROSECOND: Final = datetime.resolution
_FIRST_US: Final = -62_135_596_800_000_000  # 0001-01-01 and 9999-12-31, what a datetime can be
_LAST_US: Final = 253_402_214_400_000_000
_MOST_BOOTS: Final = 65_536

Int32 = Annotated[int, Field(ge=-LARGEST_INT - 1, le=LARGEST_INT)]
Count = Annotated[int, Field(ge=0, le=LARGEST_LONG)]
Boot = Annotated[str, Field(pattern=r"\A[A-Za-z0-9._-]{1,64}\z")]
F = TypeVar("F", bound="Sent")


class Sent(BaseModel):
    """What every recorder's message has: who, where, from when to when, and what helps to identify and to correct."""

    point_id: UUID
    register_id: UUID
    device_id: UUID

    @property
    def who(self) -> tuple[str, str, str]:
        """device_id, point_id, register_id in lower case."""
        return str(self.device_id), str(self.point_id), str(self.register_id)


class Timed(Sent):
    """A message about a stretch of time."""

    start_ts: datetime
    end_ts: datetime
    boot_id: Boot | None = None
    sequence: Count | None = None
    clock_ts: AwareDatetime | None = None


class ChunkForm(Timed):
    """The text fields of POST /api/v1/chunks."""

    codec: Annotated[str, Field(min_length=1, max_length=32, pattern=r"\A[^\x00]*\z")]
    sample_rate: Int32
    channels: Int32


class Silence(Timed):
    """POST /api/v1/silences."""


def _upper(sent: Any) -> Any:
    return sent.upper() if isinstance(sent, str) else sent


class Drops(Sent):
    """POST /api/v1/recorders/drops."""

    report_id: UUID
    files: Count
    bytes: Count
    oldest_ts: datetime | None = None
    newest_ts: datetime | None = None
    reason: Annotated[Literal["AGE", "SIZE", "UNREADABLE"], BeforeValidator(_upper)]


_ORDER: Final = (
    *("point_id", "register_id", "device_id", "start_ts", "end_ts", "codec", "sample_rate", "channels"),
    *("boot_id", "sequence", "clock_ts"),
)
REQUIRED: Final = frozenset(_ORDER[:8])


def read_form(fields: Mapping[str, str], *, with_file: bool = True) -> ChunkForm:
    """A chunk's text fields, empty ones as if absent; errors in FastAPI's words and order.

    Raises:
        Unacceptable: 422 with the list; a missing file is among it unless `with_file`.
    """
    sent = {name: text for name, text in fields.items() if text}
    form, errors = _validate(ChunkForm, sent)
    errors.sort(key=lambda error: _ORDER.index(error["loc"][1]))
    if not with_file:
        errors.append(_no_file(fields.get(FILE)))
    if form is None or errors:
        raise Unacceptable(422, errors)
    return form


def read_report(kind: type[F], content: Any) -> F:
    """A JSON report. Raises `Unacceptable`: 422 with FastAPI's list."""
    report, errors = _validate(kind, content)
    if report is None:
        raise Unacceptable(422, [error | {"input": _echo(error["input"])} for error in errors])
    return report


@dataclass(frozen=True, slots=True)
class Span:
    """Start and end in UTC epoch microseconds as they were sent; `any_naive`: one came without an offset."""

    start_us: int
    end_us: int
    any_naive: bool

    def moved(self, offset_us: int | None) -> tuple[int, int]:
        """Start and end corrected."""
        return self.start_us + (offset_us or 0), self.end_us + (offset_us or 0)


def span(sent: Timed, zone: tzinfo | None) -> Span:
    """The times of a message, those without an offset read in `zone` (None: the machine's).

    Raises:
        Unacceptable: 422 with a sentence: the end is not after the start, or decades after it.
    """
    found = Span(
        epoch_us(sent.start_ts, zone),
        epoch_us(sent.end_ts, zone),
        sent.start_ts.tzinfo is None or sent.end_ts.tzinfo is None,
    )
    if found.end_us <= found.start_us:
        raise Unacceptable(422, "end_ts must be after start_ts")
    if found.end_us - found.start_us > _LONGEST_US:
        raise Unacceptable(422, f"end_ts must be within {LARGEST_INT} seconds after start_ts")
    if (sent.boot_id is None) != (sent.sequence is None):
        raise Unacceptable(422, "boot_id and sequence go together")
    return found


def epoch_us(time: datetime, zone: tzinfo | None) -> int:
    """UTC epoch microseconds."""
    if time.tzinfo is None and zone is not None:
        time = time.replace(tzinfo=zone)
    if time.tzinfo is not None:
        return (time - EPOCH) // _MICROSECOND
    try:
        return (time.astimezone() - EPOCH) // _MICROSECOND
    except (OverflowError, ValueError, OSError):  # at the ends of the calendar the machine's zone is not known
        return (time.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // _MICROSECOND


def chunk_id(form: ChunkForm, sent_start: str, sha256: str) -> str:
    """The chunk's identity: by boot and sequence where they were sent, else by start as sent and content."""
    device = str(form.device_id)
    own = (form.boot_id, form.sequence) if form.boot_id is not None else (sent_start, sha256)
    return str(uuid.uuid5(NAMESPACE, "/".join(("chunk", device, *map(str, own)))))


class Clocks:
    """How far each boot of each device is behind our clock; one offset a boot, so that its chunks stay gapless."""

    def __init__(self) -> None:
        self._offsets: OrderedDict[tuple[str, str | None], int] = OrderedDict()

    def offset(self, sent: Timed, times: Span, now_us: int) -> int | None:
        """Microseconds to add to the times sent; None where the clock is right or not known."""
        if sent.clock_ts is None:
            return None
        seen = now_us - epoch_us(sent.clock_ts, None)
        key = (str(sent.device_id), sent.boot_id)
        kept = self._offsets.get(key, 0)
        if abs(seen - kept) > OFFSET_NOTED_US:
            kept = self._offsets[key] = seen if abs(seen) > OFFSET_NOTED_US else 0
            self._offsets.move_to_end(key)
            if len(self._offsets) > _MOST_BOOTS:
                self._offsets.popitem(last=False)
        if not kept or times.start_us + kept < _FIRST_US or times.end_us + kept > _LAST_US:
            return None
        return kept


def _validate(kind: type[F], sent: Any) -> tuple[F | None, list[dict[str, Any]]]:
    try:
        return kind.model_validate(sent), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    return None, [_as_fastapi_says(dict(one), is_form=kind is ChunkForm) for one in found]


def _as_fastapi_says(error: dict[str, Any], *, is_form: bool) -> dict[str, Any]:
    error["loc"] = ["body", *error["loc"]]
    if is_form and error["type"] == "missing":
        error["input"] = None
    if "ctx" in error:
        error["ctx"] = {name: str(value) for name, value in error["ctx"].items()}
    return error


def _echo(sent: Any) -> Any:
    """What was sent, as strict JSON: NaN as a text."""
    try:
        return json.loads(json.dumps(sent), parse_constant=str)
    except RecursionError:
        return None


def _no_file(text: str | None) -> dict[str, Any]:
    """What FastAPI says of a file that is not there, or came as a text."""
    loc = ["body", FILE]
    if not text:
        return {"type": "missing", "loc": loc, "msg": "Field required", "input": None}
    message = "Value error, Expected UploadFile, received: <class 'str'>"
    return {"type": "value_error", "loc": loc, "msg": message, "input": text, "ctx": {"error": {}}}
