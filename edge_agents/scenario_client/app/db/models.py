"""The types under the second name that scripts import them by."""

from edge_agents.scenario_client.calls import Scenario
from schemas.scenarios import ScenarioStatus

__all__ = ["Scenario", "ScenarioStatus"]
