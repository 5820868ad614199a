"""Alerts for the terminal: lists, one with its evidence and its person, settling, key frames, the live feed.

Wants ADMIN_TOKEN or a role from wherever one comes: alerts tell where people were.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel

from api import cursors
from api.answers import json_answer, problem
from api.parameters import Text
from api.railway.faces import UserId
from api.security import Security
from api.security_feed import people
from api.security_shapes import Remark, alert_told, event_told, ticket_told, watched_told
from projections.queries import railway_passengers
from projections.queries import security as queries
from schemas.errors import Overloaded

PAGE: Final = 500
VERDICTS: Final = {"acknowledge": "acknowledged", "escalate": "escalated", "resolve": "resolved"}
AlertId = Annotated[Text, Path(min_length=1, max_length=128)]
Address = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


class Wanted(BaseModel):
    """Which alerts."""

    kind: Literal["deviance", "threat"] | None = None
    status: Literal["open", "acknowledged", "escalated", "resolved"] | None = None
    camera_id: Text | None = None
    user_id: UserId | None = None
    muted: bool | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


def build(security: Security) -> APIRouter:
    """The routes of alerts."""
    router = APIRouter(prefix="/v1/security", tags=["security"], responses={401: {}, 403: {}})
    _add_lists(router, security)
    _add_settling(router, security)
    _add_frames(router, security)
    _add_live(router, security)
    return router


def _add_lists(router: APIRouter, security: Security) -> None:
    allowed: Any = Depends(security.biometrics)

    @router.get("/alerts", summary="Alerts", dependencies=[allowed])
    async def listing(
        request: Request,
        wanted: Annotated[Wanted, Query()],
        limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
        after: Annotated[str | None, Query()] = None,
    ) -> Response:
        """The newest first; the Link leads to older ones. `newest` is where the live feed goes on from here."""
        key = cursors.read(after, int)
        newest = await security.database.read(queries.newest)
        asked = partial(queries.alerts, wanted=wanted.model_dump(), before=key[0] if key else None, limit=limit)
        rows = await security.database.read(asked)
        names = await people(security.database, rows)
        more = cursors.write(rows[-1]["raised_offset"]) if len(rows) == limit else None
        return json_answer(request, {"items": [alert_told(row, names) for row in rows], "newest": newest}, after=more)

    @router.get("/alerts/{alert_id}", summary="An alert", dependencies=[allowed])
    async def one(request: Request, alert_id: AlertId) -> Response:
        """An alert, what happened to it, and who the person is: name, ticket of the day, why she is watched for."""
        row = await _alert(security, alert_id)
        told = alert_told(row, await people(security.database, [row]))
        told["events"] = [event_told(event) for event in row["events"]]
        if row["user_id"] is not None:
            told["person"] |= await _person(security, row["user_id"])
        return json_answer(request, told)


def _add_settling(router: APIRouter, security: Security) -> None:
    allowed: Any = Depends(security.biometrics)

    def settling(verdict: str) -> Callable[..., Awaitable[dict[str, Any]]]:
        async def settle(
            request: Request, alert_id: AlertId, remark: Remark | None = None, by: str | None = allowed
        ) -> dict[str, Any]:
            """Say how an alert is dealt with. 409: it is further already; the same again changes nothing."""
            note = remark.note if remark else None
            record = {"alert_id": alert_id, "verdict": verdict, "note": note, "by": by}
            await security.decided(request, "SettleAlert", record)
            row = await _alert(security, alert_id)
            return alert_told(row, await people(security.database, [row]))

        return settle

    for verb, verdict in VERDICTS.items():
        path = f"/alerts/{{alert_id}}/{verb}"
        router.add_api_route(path, settling(verdict), methods=["POST"], summary=verb.title(), name=f"{verb}_alert")


def _add_frames(router: APIRouter, security: Security) -> None:
    allowed: Any = Depends(security.biometrics)

    @router.get("/frames/{sha256}", summary="A key frame", dependencies=[allowed], response_class=Response)
    async def frame(sha256: Address) -> Response:
        """A picture by its address. 404: it is not here, or its time is over."""
        found = await security.pictures.find(sha256) if security.pictures else None
        if found is None:
            raise HTTPException(404, "There is no such picture, or no more")
        headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(found, headers=headers, media_type="image/jpeg")


def _add_live(router: APIRouter, security: Security) -> None:
    allowed: Any = Depends(security.biometrics)

    @router.get("/live", summary="Alerts as they happen", dependencies=[allowed], response_class=Response)
    async def live(
        last_event_id: Annotated[str | None, Header()] = None, after: Annotated[str | None, Query()] = None
    ) -> Response:
        """Server-sent events: `alert` with an alert as it stands now, whenever something happened to it.

        An event's id is an offset of the log. Come again with `Last-Event-ID` (or `after`): all that happened since is
        sent first. `online` begins; `reset`: the id is unknown, look at the list and go on from there. Without an id
        it begins now. Comments keep the connection open.
        """
        start = _number(last_event_id if last_event_id is not None else after)
        try:
            security.feed.enter()
        except Overloaded as full:
            return problem(503, "Service Unavailable", str(full), {"Retry-After": "5"})
        frames = security.feed.frames(start)
        try:
            first = await anext(frames)
        except BaseException:
            security.feed.leave()
            raise
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_all(security, first, frames), headers=headers, media_type="text/event-stream")


async def _all(security: Security, first: bytes, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for item in frames:
            yield item
    finally:
        security.feed.leave()


def _number(text: str | None) -> int | None:
    """The offset that a reader saw last; an unknown word is one beyond every log, so that it is told to look anew."""
    if text is None:
        return None
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() and digits.isascii() and len(digits) < 19 else 2**62


async def _alert(security: Security, alert_id: str) -> queries.Row:
    row = await security.database.read(partial(queries.alert, alert_id=alert_id))
    if row is None:
        raise HTTPException(404, "There is no such alert")
    return row


async def _person(security: Security, user_id: str) -> dict[str, Any]:
    watched = await security.database.read(partial(queries.watched, user_id=user_id))
    told: dict[str, Any] = {"watched": watched_told(watched, {}) if watched else None, "ticket": None}
    try:
        UUID(user_id)
    except ValueError:
        return told  # enrolled at the face server alone: no passenger
    tickets = await security.database.read(partial(railway_passengers.tickets_of, user_id=user_id))
    zone = ZoneInfo(security.zone)
    today = security.now().astimezone(zone).date()
    of_today = [one for one in tickets if today in {one[day].astimezone(zone).date() for day in ("date", "start_date")}]
    return told | {"ticket": ticket_told(of_today[0] if of_today else None)}
