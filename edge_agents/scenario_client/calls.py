"""The seed's calls: create, change, read scenarios and what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from edge_agents.scenario_client.server import Server
from schemas.scenarios import ScenarioStatus

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario as the server shows it."""

    id: int
    status: ScenarioStatus
    predict: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class ScenarioCalls:
    """What the original calls CRUD. Every method raises ServerError when the server does not answer as it should."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def create_scenario(self, status: ScenarioStatus | str = ScenarioStatus.INIT_STARTUP) -> int:
        """The id of a new scenario."""
        made = await self._server.ask("POST", "/scenario/", {"status": ScenarioStatus(status)})
        return made["scenario_id"]

    async def update_status(self, scenario_id: int, status: ScenarioStatus | str) -> bool:
        """Whether the scenario has this status now; False: there is none, or it cannot become that."""
        body = {"status": ScenarioStatus(status)}
        done = await self._server.ask("POST", f"/scenario/{scenario_id}/", body, refusals=(_NOT_FOUND, _CONFLICT))
        return done is not None

    async def get_status(self, scenario_id: int) -> ScenarioStatus | None:
        """Its status; None: there is no such scenario."""
        found = await self._server.ask("GET", f"/scenario/{scenario_id}/", refusals=(_NOT_FOUND,))
        return ScenarioStatus(found["status"]) if found else None

    async def update_predict(self, scenario_id: int, predict: Mapping[str, Any]) -> bool:
        """Replace what is shown as predicted; False: there is no such scenario."""
        path = f"/v1/scenarios/{scenario_id}/predictions"
        return await self._server.ask("PUT", path, dict(predict), refusals=(_NOT_FOUND,)) is not None

    async def get_predict(self, scenario_id: int) -> dict[str, Any] | None:
        """What was predicted; None: nothing yet, or there is no such scenario."""
        found = await self._server.ask("GET", f"/prediction/{scenario_id}/", refusals=(_NOT_FOUND,))
        return found["predictions"] if found else None

    async def get_scenario(self, scenario_id: int) -> Scenario | None:
        """The whole scenario, or None."""
        found = await self._server.ask("GET", f"/v1/scenarios/{scenario_id}", refusals=(_NOT_FOUND,))
        if not found:
            return None
        times = (datetime.fromisoformat(found[name]) for name in ("created_at", "updated_at"))
        return Scenario(found["id"], ScenarioStatus(found["status"]), found["predictions"], *times)
