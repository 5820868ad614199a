"""GET /ui/sign-in, /ui/signed-in, /ui/me and POST /ui/sign-out: people sign in at the provider, if there is one."""

from __future__ import annotations

import html
import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from api import openid_flow
from api.openid import NotSignedIn, Person, Provider, ProviderAway
from api.people_gate import Site
from api.person_cookies import ATTEMPT, ATTEMPT_S, SESSION, Cookies
from api.routes.page import POLICY

log = logging.getLogger(__name__)

SIGN_IN: Final = "/ui/sign-in"
SIGNED_IN: Final = "/ui/signed-in"
_NO_STORE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_FAILED: Final = (
    "Signing in did not succeed. Try again; if it goes on, ask your administrator.",
    "Войти не удалось. Попробуйте ещё раз; если не поможет, обратитесь к администратору.",
)
_AWAY: Final = (
    "The sign-in service does not answer. Try again in a little while.",
    "Служба входа не отвечает. Попробуйте немного позже.",
)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sensorium</title><link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/style.css"></head>
<body><main><p>{english}</p><p lang="ru">{russian}</p>
<p><a href="{again}">Sign in / Войти</a></p></main></body></html>
"""


@dataclass(frozen=True, slots=True)
class Reception:
    """Where people sign in: the provider, what browsers keep, and how they call this server."""

    provider: Provider
    cookies: Cookies
    site: Site


def build(reception: Reception | None) -> APIRouter:
    """The routes; without a reception they say that nobody signs in here."""
    router = APIRouter(include_in_schema=False)
    _add_myself(router, reception)
    _add_entrance(router, reception)
    _add_return(router, reception)
    _add_exit(router, reception)
    return router


def _add_myself(router: APIRouter, reception: Reception | None) -> None:
    @router.get("/ui/me")
    async def me(request: Request) -> Response:
        """Whether people sign in here, and who did in this browser."""
        person = _person(reception, request) if reception else None
        said = {
            "provider": reception is not None,
            "name": person and person.name,
            "roles": sorted(person.roles) if person else [],
        }
        return _json(said)


def _add_entrance(router: APIRouter, reception: Reception | None) -> None:
    @router.get(SIGN_IN)
    async def sign_in(request: Request, page: str | None = None) -> Response:
        """To the provider, and a cookie that knows its answer again."""
        at = _there(reception)
        attempt = openid_flow.begun(page)
        home = at.site.origin(request.scope)
        if not at.site.is_reached_by_own_name(request.scope):
            return _redirect(f"{home}{SIGN_IN}?page={quote(attempt.page, safe='')}")
        try:
            document = await at.provider.keys.document()
        except ProviderAway as away:
            return _sorry(503, _AWAY, attempt.page, {"Retry-After": str(away.retry_after_s)})
        answer = _redirect(openid_flow.asking_address(at.provider, document, attempt, home + SIGNED_IN))
        _keep(at.site, request, answer, ATTEMPT, at.cookies.of_attempt(attempt), ATTEMPT_S)
        return answer


def _add_return(router: APIRouter, reception: Reception | None) -> None:
    @router.get(SIGNED_IN)
    async def signed_in(request: Request) -> Response:
        """From the provider; to the page that was wanted, signed in."""
        at = _there(reception)
        attempt = at.cookies.attempt(at.site.cookie(request.scope, ATTEMPT))
        callback = at.site.origin(request.scope) + SIGNED_IN
        try:
            if attempt is None:
                raise NotSignedIn("no sign-in is under way in this browser")
            person = await openid_flow.finished(at.provider, attempt, dict(request.query_params), callback)
        except NotSignedIn as error:
            log.info("a sign-in failed: %s", error)
            answer = _sorry(400, _FAILED, attempt.page if attempt else openid_flow.HOME)
        except ProviderAway as away:
            page = attempt.page if attempt else openid_flow.HOME
            answer = _sorry(503, _AWAY, page, {"Retry-After": str(away.retry_after_s)})
        else:
            log.info("%s signed in as %s", person.by, ", ".join(sorted(person.roles)) or "nobody in particular")
            answer = _redirect(attempt.page)
            _keep(at.site, request, answer, SESSION, at.cookies.of_person(person), at.cookies.session_s)
        _drop(at.site, request, answer, ATTEMPT)
        return answer


def _add_exit(router: APIRouter, reception: Reception | None) -> None:
    @router.post("/ui/sign-out")
    async def sign_out(request: Request) -> Response:
        """Signed out here; `next` is where to sign out of the provider as well."""
        at = _there(reception)
        if not at.site.is_asked_by_own_page(request.scope):
            raise HTTPException(403, "Only a page of this site may sign out")
        at.cookies.end(at.site.cookie(request.scope, SESSION))
        home = at.site.origin(request.scope) + openid_flow.HOME
        try:
            there = openid_flow.leaving_address(at.provider, await at.provider.keys.document(), home)
        except ProviderAway:
            there = None
        answer = _json({"next": there or openid_flow.HOME})
        _drop(at.site, request, answer, SESSION)
        return answer


def _person(at: Reception, request: Request) -> Person | None:
    if not at.site.is_asked_by_own_page(request.scope):
        return None
    return at.cookies.person(at.site.cookie(request.scope, SESSION))


def _there(reception: Reception | None) -> Reception:
    if reception is None:
        raise HTTPException(404, "Nobody signs in here")
    return reception


def _keep(site: Site, request: Request, answer: Response, name: str, value: str, seconds: float) -> None:
    answer.set_cookie(
        site.cookie_name(request.scope, name), value, max_age=int(seconds), path="/",
        httponly=True, samesite="lax", secure=site.is_secure(request.scope),
    )  # fmt: skip


def _drop(site: Site, request: Request, answer: Response, name: str) -> None:
    _keep(site, request, answer, name, "", 0)


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 303, headers=_NO_STORE)


def _sorry(status: int, words: tuple[str, str], page: str, headers: dict[str, str] | None = None) -> Response:
    again = html.escape(f"{SIGN_IN}?page={quote(page, safe='')}")
    text = _PAGE.format(english=words[0], russian=words[1], again=again)
    held = _NO_STORE | {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"} | (headers or {})
    return Response(text, status, headers=held, media_type="text/html; charset=utf-8")


def _json(said: Any) -> Response:
    return Response(orjson.dumps(said), headers=_NO_STORE, media_type="application/json")
