"""FastAPI dependencies that let in whom `producers.admission` lets in, people with a role for the route included."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from fastapi import HTTPException, Request

from producers.admission import PERSON, Visit, visit
from producers.answers import Answer, Headers, Refused

BY_TOKEN: Final = "token"  # noqa: S105 - what events call who has ADMIN_TOKEN


class Admission(Protocol):
    """What is needed of `producers.admission.Admission`."""

    def admit(self, scope: Any, headers: Headers, *, own_pages: bool = False) -> str: ...  # noqa: D102 - see Admission
    def require_token(self, headers: Headers, scope: Any) -> None: ...  # noqa: D102
    def has_token(self, headers: Headers) -> bool: ...  # noqa: D102


def admits(
    admission: Admission, *, only_named: bool = False, own_pages: bool = False
) -> Callable[..., Awaitable[str | None]]:
    """A dependency: this machine, trusted networks, ADMIN_TOKEN and roles are let in; `only_named`: the last two.

    `own_pages`: a page of another site has no part in what this machine and trusted networks may.
    It says what events call the caller (None: somebody on this network) or raises HTTPException.
    """

    async def admitted(request: Request) -> str | None:
        headers: Headers = dict(request.scope["headers"])
        if admission.has_token(headers):
            return BY_TOKEN
        try:
            if only_named:
                admission.require_token(headers, request.scope)
            else:
                admission.admit(request.scope, headers, own_pages=own_pages)
        except Refused as refused:
            raise as_http(refused.answer) from refused
        # Known also where the network alone was enough: who did what shall stand in the log.
        found: Visit | None = request.scope.get(PERSON)
        return (found.by or None) if found else None

    return admitted


def visiting(request: Request) -> Visit | None:
    """The person with a role for this request; None: nobody signed in. Raises HTTPException where he may not."""
    try:
        return visit(request.scope)
    except Refused as refused:
        raise as_http(refused.answer) from refused


def as_http(answer: Answer) -> HTTPException:
    """A raw refusal as FastAPI raises it."""
    headers = {name.decode(): value.decode() for name, value in answer.headers if name != b"content-type"}
    return HTTPException(answer.status, json.loads(answer.body)["detail"], headers or None)
