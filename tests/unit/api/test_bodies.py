"""Bodies of the routes: the longest texts that are allowed fit, however JSON writes their letters."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import HTTPException, Request
from starlette.types import Message

from api.bodies import LARGEST, reads
from api.routes.reviews import REVIEW_BYTES, NewReview
from api.routes.sales_analyses import CORRECTION_BYTES, Correction
from api.routes.users import Login


def request(body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (reads(Correction, largest=CORRECTION_BYTES), {"text": "ж" * 50_000}),
        (reads(NewReview, largest=REVIEW_BYTES), {"reason": "other", "notes": "ж" * 20_000, "reviewer": "ж" * 1000}),
    ],
)
async def test_the_longest_texts_fit_in_any_spelling(read: Callable[[Request], Awaitable[Any]], body: Any):
    for written in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
        assert (await read(request(written.encode()))).model_dump(exclude_none=True).items() >= body.items()


async def test_who_signs_in_may_send_no_more_than_that():
    with pytest.raises(HTTPException) as refused:
        await reads(Login)(request(b" " * (LARGEST + 1)))
    assert refused.value.status_code == 413
