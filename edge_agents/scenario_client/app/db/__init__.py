"""Where scripts find the calls: one connection for the program, and what is asked over it."""

from typing import Final

from edge_agents.scenario_client.calls import Scenario, ScenarioCalls
from edge_agents.scenario_client.server import Server, ServerError
from schemas.scenarios import ScenarioStatus

__all__ = ["Scenario", "ScenarioStatus", "ServerError", "db", "scenario_crud"]

db: Final = Server()
scenario_crud: Final = ScenarioCalls(db)
