"""Where a page ended, as an opaque word: the key of its last row. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, cast
from uuid import UUID

import orjson

from api.answers import refused

_YEAR_10000_US: Final = 253_402_300_800_000_000
NOT_ONE: Final = "Not a cursor of this list: take it from the Link header"


class EpochUs(int):
    """The kind of a time in a key: UTC epoch microseconds, of which PostgreSQL does not take every 64-bit number."""


def write(*key: Any) -> str:
    """The cursor that opens the page after the row with that key."""
    return base64.urlsafe_b64encode(orjson.dumps(key)).decode().rstrip("=")


def read(cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The key inside a cursor; None for none.

    Raises:
        RequestValidationError: not a cursor of this route.
    """
    if cursor is None:
        return None
    try:
        key = _opened(cursor)
        if len(key) != len(types):
            raise ValueError(cursor)
        return tuple(_as(kind, value) for kind, value in zip(types, key, strict=True))
    except (binascii.Error, ValueError) as error:
        raise refused("after", "cursor", NOT_ONE, cursor) from error


def read_numbers(cursor: str | None) -> list[int]:
    """The whole numbers inside a cursor, however many; none for none. Raises as `read`."""
    try:
        return [_as(int, value) for value in _opened(cursor)] if cursor is not None else []
    except (binascii.Error, ValueError) as error:
        raise refused("after", "cursor", NOT_ONE, cursor) from error


def _opened(cursor: str) -> list[Any]:
    key = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    if not isinstance(key, list):
        raise ValueError(cursor)  # noqa: TRY004 - the text is not as it should be
    return cast("list[Any]", key)


def _as(kind: type, value: Any) -> Any:
    if kind is UUID:
        return UUID(str(value))
    if kind is EpochUs:
        if type(value) is not int or not 0 <= value < _YEAR_10000_US:
            raise ValueError(value)
        return value
    if type(value) is not kind or "\0" in str(value) or (kind is int and not -(2**63) <= value < 2**63):
        raise ValueError(value)
    return value
