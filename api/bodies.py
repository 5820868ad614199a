"""JSON bodies read after the caller is known: their limits, their 422 in FastAPI's shape, their place in OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import orjson
from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
LARGEST: Final = 64 << 10
"""Bytes of a body of these routes, unless they say otherwise."""


def reads(model: type[M], *, largest: int = LARGEST) -> Callable[[Request], Awaitable[M]]:
    """A function that reads a request's body of at most `largest` bytes as `model`, whatever its content type says.

    Raises:
        RequestValidationError: 422. HTTPException: 413.
    """

    async def read(request: Request) -> M:
        data = await _bytes(request, largest)
        if not data.strip():
            raise _unfit([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}])
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            context = {"error": error.msg}
            told = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error", "input": {}}
            raise _unfit([told | {"ctx": context}]) from error
        try:
            return model.model_validate(content)
        except ValidationError as error:
            found = error.errors(include_url=False)
            raise _unfit([one | {"loc": ("body", *one["loc"])} for one in found]) from error

    return read


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """What `openapi_extra` of a route says about its body."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _bytes(request: Request, largest: int) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > largest:
            raise HTTPException(413, f"Body exceeds maximum size of {largest} bytes")
    return bytes(data)


def _unfit(errors: list[Any]) -> RequestValidationError:
    return RequestValidationError(errors)
