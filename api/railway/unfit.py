"""422 in FastAPI's own shape for whatever was sent: what cannot be written as JSON, or is long, is told shortened."""

from __future__ import annotations

import math
from typing import Any, Final, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

LONGEST: Final = 200
"""Characters of a text, and entries of a list or object, that are told back."""
DEEPEST: Final = 6
FAULTS: Final = 50
"""Faults that are told of one request, at most."""
CUT: Final = "…"


async def unfit(_request: Request, error: Exception) -> Response:
    """What is wrong with a request. FastAPI's own answer fails on input that JSON cannot hold, or is too deep."""
    faults = cast("RequestValidationError", error).errors()[:FAULTS]
    return JSONResponse({"detail": [told(dict(fault)) for fault in faults]}, 422)


def told(value: Any, levels: int = DEEPEST) -> Any:
    """A value as JSON: shortened, and with words for what JSON does not know."""
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) < 2**63 else CUT
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            text = value if len(value) <= LONGEST else value[:LONGEST] + CUT
            return text.encode("utf-8", "replace").decode()
        case dict() | list() | tuple() if levels == 0:
            return CUT
        case dict():
            kept = list(cast("dict[Any, Any]", value).items())[:LONGEST]
            return {told(str(name)): told(one, levels - 1) for name, one in kept}
        case list() | tuple():
            return [told(one, levels - 1) for one in list(cast("list[Any]", value))[:LONGEST]]
        case _:
            return told(str(value))
