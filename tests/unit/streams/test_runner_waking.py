"""Which events wake a runner."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import examples, serde
from streams.runner.waking import is_work


@pytest.mark.parametrize(
    ("name", "changed", "wakes"),
    [
        ("ScenarioCreated", {"status": "init_startup"}, True),
        ("ScenarioCreated", {"status": "inactive"}, False),
        ("ScenarioStatusChanged", {"new_status": "init_startup", "reason": None}, True),
        ("ScenarioStatusChanged", {"new_status": "init_startup", "reason": "retry"}, True),
        ("ScenarioStatusChanged", {"new_status": "init_startup", "reason": "run_failed"}, False),  # a pause
        ("ScenarioStatusChanged", {"new_status": "active", "reason": None}, False),
        ("ScenarioProgressed", {}, False),
    ],
)
def test_a_scenario_that_waits_for_a_runner_is_work(name: str, changed: dict[str, Any], wakes: bool) -> None:
    assert is_work(serde.encode(name, examples.load(name) | changed)) == wakes


@pytest.mark.parametrize("value", [None, b"", b'{"scenario_id": 1}'])
def test_what_is_no_event_is_no_work(value: bytes | None) -> None:
    assert not is_work(value)
