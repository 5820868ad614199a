"""JSON bodies read after the caller is known: their limits, their 422 in FastAPI's shape, their place in OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import orjson
import pydantic
from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
LARGEST: Final = 64 << 10
"""Bytes of a body of these routes, unless they say otherwise."""
_EXPLAINED: Final = f"https://errors.pydantic.dev/{'.'.join(pydantic.VERSION.split('.')[:2])}/v/missing"


def reads(model: type[M], *, largest: int = LARGEST, urls: bool = False) -> Callable[[Request], Awaitable[M]]:
    """A function that reads a request's body of at most `largest` bytes as `model`, whatever its content type says.

    With `urls` a fault says where pydantic explains it, as FastAPI's answers once did.

    Raises:
        RequestValidationError: 422. HTTPException: 413.
    """

    async def read(request: Request) -> M:
        data = await _bytes(request, largest)
        if not data.strip():
            missing = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
            raise _unfit([missing | ({"url": _EXPLAINED} if urls else {})])
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            context = {"error": error.msg}
            told = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error", "input": {}}
            raise _unfit([told | {"ctx": context}]) from error
        try:
            return model.model_validate(content)
        except ValidationError as error:
            raise unfit(error, "body", urls=urls) from error

    return read


def unfit(error: ValidationError, where: str, *, urls: bool = False) -> RequestValidationError:
    """A 422 of what pydantic found wrong `where` (body, path); a wrong word among several has its context, no URL."""
    found = [dict(one) | {"loc": (where, *one["loc"])} for one in error.errors(include_url=urls)]
    return _unfit([{name: value for name, value in one.items() if _told(name, one)} for one in found])


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


def _told(name: str, fault: dict[str, Any]) -> bool:
    return name != "url" or fault["type"] != "enum"


def _unfit(errors: list[Any]) -> RequestValidationError:
    return RequestValidationError(errors)
