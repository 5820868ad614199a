"""Answers on the wire: JSON by orjson with an ETag, Link to the next page, problem details. Pure but for `Response`."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

PROBLEM = "application/problem+json"


def etag_of(body: bytes) -> str:
    """A strong entity tag: equal bytes, equal tag (RFC 9110, 8.8.3)."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the asker already holds that entity; weak comparison, as If-None-Match wants."""
    if not if_none_match:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def json_answer(request: Request, payload: Any, *, after: str | None = None) -> Response:
    """200 with an ETag, or 304 with none of the body; `after` is the cursor that opens the next page."""
    body = orjson.dumps(payload)
    headers = {"ETag": etag_of(body), "Cache-Control": "no-cache", "Vary": "Accept"}
    if after is not None:
        headers["Link"] = f'<{next_page(request, after)}>; rel="next"'
    if is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def next_page(request: Request, after: str) -> str:
    """The same question from `after` on, relative to its own address: right behind any proxy."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != "after"]
    return "?" + urlencode([*kept, ("after", after)])


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Problem details (RFC 9457); `detail` is also where the original clients look."""
    body = orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    return Response(body, status_code=status, headers=headers, media_type=PROBLEM)


def refused(name: str, kind: str, message: str, value: Any = None) -> RequestValidationError:
    """A 422 in FastAPI's own shape, for one query parameter."""
    return RequestValidationError([{"type": kind, "loc": ("query", name), "msg": message, "input": value}])


def missing(name: str) -> dict[str, Any]:
    """One entry of a 422: a required query parameter that was not sent."""
    return {"type": "missing", "loc": ("query", name), "msg": "Field required", "input": None}
