"""Where a page ended, as an opaque word: the key of its last row. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from uuid import UUID

import orjson

from api.answers import refused


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
        key = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        if not isinstance(key, list) or len(key) != len(types):
            raise ValueError(cursor)
        return tuple(_as(kind, value) for kind, value in zip(types, key, strict=True))
    except (binascii.Error, ValueError) as error:
        raise refused("after", "cursor", "Not a cursor of this list: take it from the Link header", cursor) from error


def _as(kind: type, value: Any) -> Any:
    if kind is UUID:
        return UUID(str(value))
    if type(value) is not kind or (kind is int and not -(2**63) <= value < 2**63):
        raise ValueError(value)
    return value
