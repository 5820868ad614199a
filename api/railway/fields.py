"""Types of fields in the railway's bodies, paths and answers: lenient in input, exact in output. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

INT32: Final = 2**31 - 1
IMAGE: Final = 10_485_760
"""Characters of a picture in base64, at most."""


class Ok(BaseModel):
    """Done."""

    status: Literal["OK"] = "OK"


def _id(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a UUID as text is wanted")  # noqa: TRY004 - pydantic's way to say 422
    try:
        return str(UUID(value)) if len(value) == 36 else _no_id()
    except ValueError:
        return _no_id()


def _no_id() -> str:
    raise ValueError("not a UUID")


def _clean(value: str) -> str:
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("characters that cannot be stored")
    return value


def _utc(value: datetime) -> datetime:
    zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        zoned.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise ValueError("a time out of range") from error
    return zoned


Id = Annotated[str, BeforeValidator(_id), Field(json_schema_extra={"format": "uuid"})]
"""A UUID of 36 characters in any letter case; lower case inside."""
STORABLE: Final = AfterValidator(_clean)
"""Of a text: that PostgreSQL can hold it. A length goes before it: Annotated[str, Field(max_length=50), STORABLE]."""
Text = Annotated[str, STORABLE]
"""Text that PostgreSQL can hold; add a length with Field."""
Int32 = Annotated[int, Field(ge=-INT32 - 1, le=INT32)]
Count = Annotated[int, Field(ge=1, le=INT32)]
Amount = Annotated[int, Field(ge=0, le=INT32)]
Moment = Annotated[datetime, AfterValidator(_utc)]
"""ISO 8601 with or without offset (then UTC), date only, or Unix seconds or milliseconds; the offset is kept."""


def moment_text(value: datetime) -> str:
    """A time as it is answered: the offset it has, `Z` for UTC, a fraction only where there is one."""
    text = value.isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def microseconds(value: datetime) -> int:
    """UTC epoch microseconds."""
    passed = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
