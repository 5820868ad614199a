"""/v1/sales/analysis and costs: analyse a range with another model, compare versions, correct what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from api import sales_overview, sales_shapes
from api.bodies import documented, reads
from api.commanding import id_of
from api.parameters import Text
from api.routes.analysis import analysable
from api.routes.sales import MODEL, range_of
from api.sales_commands import Commands, Wish, repeated
from api.sales_days import DaysQuery
from projections.queries import sales_dialogue, sales_versions
from projections.queries.database import Database
from projections.queries.errors import Unavailable
from schemas.identity import NAMESPACE

MOST: Final = 10_000
"""Dialogues that are compared, or analysed again, at a time."""
AT_ONCE: Final = 50
CORRECTION_BYTES: Final = 512 << 10
"""JSON may write a letter in six bytes, and a longest text has 50,000 of them."""
_Name = Annotated[Text, Field(min_length=1, max_length=200)]


class RerunOrder(DaysQuery):
    """Which dialogues are to be analysed again, and with what; null: as it is configured."""

    point: UUID | None = None
    model: _Name | None = None
    prompt_version: _Name | None = None
    limit: int = Field(1000, ge=1, le=MOST, description="At most so many, the earliest first.")


class CompareQuery(DaysQuery):
    """Parameters of GET /v1/sales/analysis/compare."""

    point: UUID | None = None
    a_model: _Name | None = None
    a_prompt: _Name | None = None
    b_model: _Name | None = None
    b_prompt: _Name | None = None
    limit: int = Field(100, ge=0, le=1000, description="Dialogues shown that the two disagree on.")
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


class Correction(BaseModel):
    """What was really said."""

    text: Annotated[Text, Field(min_length=1, max_length=50_000)]
    reanalyse: bool = False


def build(
    database: Database,
    zone: str,
    commands: Commands,
    admin: Any,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """The routes; `admin` is the dependency that lets callers in and says their names."""
    router = APIRouter(prefix="/v1/sales", tags=["sales"])
    _add_rerun(router, database, commands, (zone, admin, now))
    _add_comparison(router, database, zone, now)
    _add_correction(router, database, commands, admin)

    @router.get("/costs", summary="Costs of analyses per day", response_model=dict[str, Any])
    async def get_costs(request: Request, query: Annotated[DaysQuery, Query()]) -> Response:
        """By the day an analysis ended, its model and prompt; `cost_micros` are millionths of a US dollar."""
        days = query.days(zone, now())
        rows = await database.read(
            partial(sales_versions.costs, first=days.start, end=days.end, zone=days.zone), model=MODEL
        )
        span = {"from": days.first, "to": days.last, "zone": days.zone}
        return sales_shapes.tagged(
            request, {**span, "cost_micros": sales_shapes.total(rows, "cost_micros"), "costs": rows}
        )

    return router


def _add_rerun(
    router: APIRouter, database: Database, commands: Commands, where: tuple[str, Any, Callable[[], datetime]]
) -> None:
    zone, admin, now = where
    read_order, known = reads(RerunOrder), Depends(admin)

    @router.post(
        "/analysis/rerun", status_code=202, summary="Analyse a range again", response_model=dict[str, Any],
        openapi_extra=documented(RerunOrder),
    )  # fmt: skip
    async def rerun(request: Request, caller: str = known) -> Response:
        """202: every transcribed dialogue of the range is queued; the verdicts there were go into the history."""
        order = await read_order(request)
        days = order.days(zone, now())
        read = partial(sales_versions.transcribed, where=range_of(days, order.point), limit=order.limit)
        wish = Wish(caller, order.model, order.prompt_version)
        done = await _ask_all(database, commands, await database.read(read), wish)
        span = {"from": days.first, "to": days.last, "zone": days.zone, "point": order.point}
        wanted = {"model": order.model, "prompt_version": order.prompt_version}
        return sales_shapes.answer({**span, **wanted, "requested": done, "limit": order.limit}, 202)


async def _ask_all(database: Database, commands: Commands, dialogue_ids: Sequence[UUID], wish: Wish) -> int:
    """How many requests the log has. When it takes no more, 503 says how many it took: the rest can be asked again.

    Words are read and sealed for `AT_ONCE` dialogues at a time, in a thread: this process also answers devices.
    """
    done, total = 0, len(dialogue_ids)
    for start in range(0, total, AT_ONCE):
        try:
            read = partial(sales_versions.words, dialogue_ids=dialogue_ids[start : start + AT_ONCE])
            requests = await asyncio.to_thread(_requests, commands, await database.read(read), wish)
            done += await _ask(commands, requests, is_last=start + AT_ONCE >= total)
        except Unavailable as away:
            raise Unavailable(f"{away} ({done} of {total} were queued)") from away
        except _Stopped as stopped:
            told = f"{stopped.failure.detail} ({done + stopped.done} of {total} were queued)"
            raise HTTPException(stopped.failure.status_code, told, stopped.failure.headers) from stopped
    return done


def _requests(commands: Commands, dialogues: Sequence[Mapping[str, Any]], wish: Wish) -> list[dict[str, Any]]:
    return [commands.request(dialogue, wish) for dialogue in dialogues]


async def _ask(commands: Commands, requests: Sequence[Mapping[str, Any]], *, is_last: bool) -> int:
    """Append a few at once, and wait for the read model to have the very last."""
    last = len(requests) - 1 if is_last else -1
    asked = [commands.ask(request, wait=n == last) for n, request in enumerate(requests)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    done = sum(isinstance(answer, str) for answer in answers)
    failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
    if isinstance(failed, HTTPException):
        raise _Stopped(failed, done) from failed
    if failed is not None:
        raise failed
    return done


class _Stopped(Exception):
    """The log took `done` of some requests, and not all."""

    def __init__(self, failure: HTTPException, done: int) -> None:
        super().__init__(failure.detail)
        self.failure, self.done = failure, done


def _add_comparison(router: APIRouter, database: Database, zone: str, now: Callable[[], datetime]) -> None:
    @router.get("/analysis/compare", summary="Compare versions of analyses", response_model=dict[str, Any])
    async def compare(request: Request, query: Annotated[CompareQuery, Query()]) -> Response:
        """`versions` of the range, and how `a` and `b` differ on the dialogues that both have analysed.

        Where none are named: the newest two. A version named by its model alone is that model's newest.
        """
        days = query.days(zone, now())
        where = range_of(days, query.point)
        versions = await database.read(partial(sales_versions.versions, where=where), model=MODEL, as_of=query.as_of)
        b = _chosen(versions, query.b_model, query.b_prompt, None)
        a = _chosen(versions, query.a_model, query.a_prompt, b)
        found: dict[str, Any] = {}
        if a and b:
            read = partial(sales_versions.pairs, where=where, a=a, b=b, limit=MOST)
            pairs = await database.read(read, model=MODEL, as_of=query.as_of)
            found = sales_overview.compared(pairs, query.limit)
        span = {"from": days.first, "to": days.last, "zone": days.zone}
        named = {"versions": versions, "a_version": _named(a), "b_version": _named(b)}
        return sales_shapes.tagged(request, {**span, **named, "comparison": found or None})


def _chosen(
    versions: Sequence[Mapping[str, Any]], model: str | None, prompt: str | None, other: sales_versions.Version | None
) -> sales_versions.Version | None:
    if model is not None and prompt is not None:
        return model, prompt
    for version in versions:
        key = (version["model"], version["prompt_version"])
        if key != other and model in (None, key[0]) and prompt in (None, key[1]):
            return key
    return None


def _named(version: sales_versions.Version | None) -> dict[str, str] | None:
    return {"model": version[0], "prompt_version": version[1]} if version else None


def _add_correction(router: APIRouter, database: Database, commands: Commands, admin: Any) -> None:
    read_correction, known = reads(Correction, largest=CORRECTION_BYTES), Depends(admin)

    @router.post(
        "/dialogues/{dialogue_id}/transcript", summary="Correct what was heard", response_model=dict[str, Any],
        openapi_extra=documented(Correction),
    )  # fmt: skip
    async def correct(dialogue_id: UUID, request: Request, caller: str = known) -> Response:
        """The correction; the transcript that was produced stays beside it. `reanalyse` queues a new analysis of it.

        With an `Idempotency-Key` a retry is the same correction, and the same analysis.
        """
        new = await read_correction(request)
        text = " ".join(new.text.split())
        if not text:
            raise HTTPException(422, "The text is empty")
        read = partial(sales_dialogue.row, dialogue_id=dialogue_id)
        dialogue = analysable(await database.read(read))
        correction_id = id_of(request, caller)
        made = await _said_before(database, correction_id, text) if correction_id else None
        made = made or await commands.correct(dialogue, text, caller, correction_id)
        request_id = None
        if new.reanalyse:
            corrected = {**dialogue, "text": text, "correction_id": made["correction_id"]}
            wanted_id = str(uuid5(NAMESPACE, f"analysis of {correction_id}")) if correction_id else None
            request_id = await commands.rerun(corrected, Wish(caller), wanted_id)
        return sales_shapes.answer({**made, "request_id": request_id})


async def _said_before(database: Database, correction_id: str, text: str) -> dict[str, Any] | None:
    was = await database.read(partial(sales_dialogue.correction, correction_id=UUID(correction_id)))
    if was is None:
        return None
    repeated(was, {"text": text})
    return {name: was[name] for name in ("correction_id", "dialogue_id", "corrected_at")} | {
        "text": text,
        "visible": True,
    }
