"""Scenarios of video analytics: started, changed, shown (seed 004, its shapes), listed and explained (new)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, RootModel, TypeAdapter, ValidationError

from api import commanding, cursors
from api.answers import json_answer
from api.bodies import documented, reads, unfit
from api.commanding import Asked, Writes
from api.parameters import Text
from api.railway.parts import Admits
from producers.commands import CommandAnswer
from projections.queries import scenarios
from projections.queries.database import Database
from schemas.scenarios import LARGEST_ID, ScenarioStatus

MODEL: Final = "scenarios"
KEY: Final = "scenarios"
PAGE: Final = 1000
LARGEST_PREDICTIONS: Final = 256 << 10
AWAY: Final = "Оркестратор не инициализирован"
_REFUSALS: Final = {"scenario_not_found": 404, "not_allowed": 409, "no_ids_left": 409}
_INT: Final = TypeAdapter(int)


class NewScenario(BaseModel):
    """A scenario; `source` is what its runner looks at (null: what the runner was started with)."""

    status: ScenarioStatus | None = None
    source: Annotated[Text, Field(max_length=2048)] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class NewStatus(BaseModel):
    """The status that a scenario is to have."""

    status: ScenarioStatus


class Predictions(RootModel[dict[str, Any] | list[Any]]):
    """What is to be shown as predicted; a list is taken for the object's `predictions`."""


@dataclass(frozen=True, slots=True)
class _Office:
    """Where the routes ask and read."""

    database: Database
    writer: Writes

    async def row(self, scenario_id: int) -> scenarios.Row:
        """A scenario's row. Raises HTTPException 404."""
        found = await self.database.read(partial(scenarios.scenario, scenario_id=scenario_id))
        if found is None:
            raise _unknown(scenario_id)
        return found

    async def decided(self, request: Request, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        """Send a command, wait until it is decided and can be read. Raises HTTPException in the seed's words."""
        asked = Asked(command, KEY, record, MODEL, _REFUSALS)
        try:
            return await commanding.decided(request, self.writer, asked, record)
        except HTTPException as refusal:
            if refusal.status_code == 404:
                raise _unknown(record["scenario_id"]) from refusal
            if refusal.status_code == 503:
                raise HTTPException(503, AWAY, refusal.headers or {"Retry-After": commanding.RETRY_S}) from refusal
            raise


def _id(scenario_id: Annotated[str, Path(json_schema_extra={"type": "integer"})]) -> int:
    """The number in the path. Raises RequestValidationError, or HTTPException 404 for one that nothing can have."""
    try:
        number = _INT.validate_python(scenario_id)
    except ValidationError as error:
        found = unfit(error, "path", urls=True).errors()
        raise RequestValidationError([one | {"loc": ("path", "scenario_id")} for one in found]) from error
    if not 0 < number <= LARGEST_ID:
        raise _unknown(number)
    return number


Id = Annotated[int, Depends(_id)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Frame = Annotated[int, Query(ge=-1, lt=2**63, description="The `last_frame` of the newest one that is known.")]
After = Annotated[str | None, Query(description="Cursor of the next page, from the Link header.")]


def build(database: Database, writer: Writes, admission: Admits) -> APIRouter:
    """The routes, for whom `admission` lets in; it says what events call the caller."""
    router = APIRouter(tags=["scenarios"], dependencies=[Depends(admission)])
    office = _Office(database, writer)
    _add_seed_writing(router, office, admission)
    _add_seed_reading(router, office)
    _add_lists(router, office)
    _add_predictions(router, office, admission)
    return router


def _add_seed_writing(router: APIRouter, office: _Office, admission: Admits) -> None:
    by_whom: Any = Depends(admission)
    new_of, status_of = reads(NewScenario, urls=True), reads(NewStatus, urls=True)

    @router.post("/scenario/", status_code=201, summary="Start a scenario", openapi_extra=documented(NewScenario))
    async def create(request: Request, by: str | None = by_whom) -> dict[str, int]:
        """Make a scenario; with `init_startup`, as without a status, the next free runner takes it."""
        new = await new_of(request)
        asked = {"status": new.status or ScenarioStatus.INIT_STARTUP, "source": new.source, "by": by}
        answer = await office.decided(request, "CreateScenario", asked | {"settings": _json(new.settings, "settings")})
        return {"scenario_id": (answer.result or {})["scenario_id"]}

    @router.post("/scenario/{scenario_id}/", summary="Change its status", openapi_extra=documented(NewStatus))
    async def change(request: Request, scenario_id: Id, by: str | None = by_whom) -> dict[str, str]:
        """Give a scenario another status; one that cannot follow the present one is 409."""
        wanted = await status_of(request)
        asked = {"scenario_id": scenario_id, "status": wanted.status, "by": by}
        await office.decided(request, "SetScenarioStatus", asked)
        return {"status": "updated", "scenario_id": str(scenario_id)}


def _add_seed_reading(router: APIRouter, office: _Office) -> None:
    @router.get("/scenario/{scenario_id}/", summary="A scenario's status")
    async def status(request: Request, scenario_id: Id) -> Response:
        """How the scenario stands."""
        row = await office.row(scenario_id)
        return json_answer(request, {"id": row["id"], "status": row["status"]})

    @router.get("/prediction/{scenario_id}/", summary="What was predicted")
    async def prediction(request: Request, scenario_id: Id) -> Response:
        """The newest predictions, null before there are any."""
        row = await office.row(scenario_id)
        return json_answer(request, {"scenario_id": row["id"], "predictions": _raw(row["predict"])})


def _add_lists(router: APIRouter, office: _Office) -> None:
    @router.get("/v1/scenarios", summary="Scenarios")
    async def every(
        request: Request, status: ScenarioStatus | None = None, limit: Limit = 100, after: After = None
    ) -> Response:
        """Scenarios in the order of their ids; the Link leads on."""
        (after_id,) = cursors.read(after, int) or (0,)
        read = partial(scenarios.scenarios, status=status, after_id=after_id, limit=limit)
        rows = await office.database.read(read)
        reached = cursors.write(rows[-1]["id"]) if len(rows) == limit else None
        return json_answer(request, {"items": [_scenario(row) for row in rows]}, after=reached)

    @router.get("/v1/scenarios/{scenario_id}", summary="A scenario")
    async def one(request: Request, scenario_id: Id) -> Response:
        """How the scenario stands, who works on it, how far it is, and what was predicted."""
        row = await office.row(scenario_id)
        return json_answer(request, _scenario(row) | {"predictions": _raw(row["predict"])})

    @router.get("/v1/scenarios/{scenario_id}/history", summary="What happened to a scenario")
    async def history(
        request: Request, scenario_id: Id, limit: Limit = 100, after: After = None, predictions: bool = False
    ) -> Response:
        """Transitions, assignments, failures with their reasons, oldest first; with `predictions` those too."""
        await office.row(scenario_id)
        place = cursors.read(after, cursors.EpochUs, str, int)
        read = partial(scenarios.history, scenario_id=scenario_id, after=place, limit=limit)
        rows = await office.database.read(partial(read, with_predictions=predictions))
        return json_answer(
            request,
            {"items": [_happened(row) for row in rows]},
            after=cursors.write(*scenarios.place_of(rows[-1])) if len(rows) == limit else None,
        )


def _add_predictions(router: APIRouter, office: _Office, admission: Admits) -> None:
    by_whom: Any = Depends(admission)
    predictions_of = reads(Predictions, largest=LARGEST_PREDICTIONS, urls=True)
    path = "/v1/scenarios/{scenario_id}/predictions"

    @router.get(path, summary="What was seen, interval by interval")
    async def predictions(request: Request, scenario_id: Id, after_frame: Frame = -1, limit: Limit = 100) -> Response:
        """What was seen in the frames after `after_frame` of the run, in their order."""
        await office.row(scenario_id)
        asked = {"scenario_id": scenario_id, "after_frame": after_frame, "limit": limit}
        rows = await office.database.read(partial(scenarios.predictions, **asked))
        return json_answer(request, {"items": [_interval(row) for row in rows]})

    @router.put(path, summary="Replace what is shown as predicted", openapi_extra=documented(Predictions))
    async def overwrite(request: Request, scenario_id: Id, by: str | None = by_whom) -> dict[str, str]:
        """Until the runner's next word, this is what was predicted."""
        said = (await predictions_of(request)).root
        predict = _json(said if isinstance(said, dict) else {"predictions": said}, "predictions")
        asked = {"scenario_id": scenario_id, "predict": predict, "by": by}
        await office.decided(request, "OverwritePredictions", asked)
        return {"status": "updated", "scenario_id": str(scenario_id)}


def _scenario(row: Mapping[str, Any]) -> dict[str, Any]:
    told = ("id", "status", "source", "runner_id", "epoch", "attempt", "frame", "frames", "reason")
    times = {name: _moment(row[name]) for name in ("created_at", "updated_at")}
    return {name: row[name] for name in told} | {"settings": _raw(row["settings"])} | times


def _happened(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"at": _moment(row["at"]), "event": row["event"], "details": _raw(row["details"])}


def _interval(row: Mapping[str, Any]) -> dict[str, Any]:
    told = ("epoch", "runner_id", "first_frame", "last_frame", "video_ms")
    return {name: row[name] for name in told} | {"at": _moment(row["at"]), "detections": _raw(row["detections"])}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _raw(text: str | None) -> orjson.Fragment | None:
    """JSON as it lies in the table: reading it would only lose what Python's numbers cannot hold."""
    return None if text is None else orjson.Fragment(text)


def _json(value: Mapping[str, Any], field: str) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        told = {"type": "too_deep", "loc": ("body", field), "msg": "Too deeply nested", "input": None}
        raise RequestValidationError([told]) from error


def _unknown(scenario_id: int) -> HTTPException:
    return HTTPException(404, f"Сценарий с id={scenario_id} не найден")
