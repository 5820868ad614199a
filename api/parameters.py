"""What can be asked: query parameters shared by the routes, checked and described. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def _storable(text: str) -> str:
    """PostgreSQL's text holds no NUL; nothing stored can be named so, and the question must not fail."""
    return text.replace("\x00", "\ufffd")


def _clamped(number: int) -> int:
    return min(max(number, _SMALLEST), _LARGEST)


def epoch_ms(text: str) -> int:
    """UTC epoch milliseconds of an ISO 8601 time; without an offset it is UTC. A plus sent as a space is read as plus.

    Raises:
        PydanticCustomError: unreadable.
    """
    try:
        moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip()))
    except ValueError as error:
        raise PydanticCustomError("iso_time", "Not an ISO 8601 time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).__floordiv__(_MILLISECOND)


_MILLISECOND = datetime.resolution * 1000

Text = Annotated[str, AfterValidator(_storable)]
Int64 = Annotated[int, AfterValidator(_clamped)]
IsoTime = Annotated[str, AfterValidator(epoch_ms)]
Format = Literal["json", "csv", "parquet"]


class Period(BaseModel):
    """Half-open range of time: from <= t < to."""

    from_ms: Int64 | None = Field(None, description="From this time on (UTC epoch milliseconds, included).")
    to_ms: Int64 | None = Field(None, description="Before this time (UTC epoch milliseconds, excluded).")
    from_time: IsoTime | None = Field(None, alias="from", description="The same as ISO 8601; no offset means UTC.")
    to_time: IsoTime | None = Field(None, alias="to", description="The same as ISO 8601; no offset means UTC.")

    def first(self) -> int | None:
        """First millisecond asked for, or None."""
        return self.from_ms if self.from_ms is not None else _number(self.from_time)

    def end(self) -> int | None:
        """The millisecond after the last asked for, or None."""
        return self.to_ms if self.to_ms is not None else _number(self.to_time)


def _number(value: Any) -> int | None:
    """`IsoTime` is text on the way in and a number after its validator."""
    return None if value is None else int(value)


class Asked(Period):
    """What every list of this API takes besides its own parameters."""

    after: str | None = Field(None, description="Cursor of the next page, from the Link header.")
    format: Format | None = Field(None, description="json (default), csv or parquet; the Accept header works too.")
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


def wanted_format(asked: Format | None, accept: str | None) -> Format:
    """The parameter decides; without one, the first of the Accept header's types that is known."""
    if asked is not None:
        return asked
    for part in (accept or "").split(","):
        kind = part.split(";")[0].strip().lower()
        if kind in {"text/csv", "application/csv"}:
            return "csv"
        if kind in {"application/vnd.apache.parquet", "application/x-parquet"}:
            return "parquet"
        if kind in {"application/json", "*/*"}:
            return "json"
    return "json"
