"""When retries and ended leases are asked for, by the log's time."""

from __future__ import annotations

from typing import Any

from immutables import Map

from schemas.record import Record
from streams.orchestrator.agenda import Agenda, LogClock
from streams.scenario_state import Scenario, State

S = 1_000_000
NOBODY = State()


def held(lease_until_us: int) -> State:
    one = Scenario("active", None, "{}", 0, epoch=1, runner_id="r", lease_until_us=lease_until_us)
    return State(Map({"1": one}), Map(), Map({"1": None}))


def due(agenda: Agenda, scenario_id: int, due_us: int, offset: int) -> None:
    body: dict[str, Any] = {"scenario_id": scenario_id, "attempt": 1, "due_us": due_us}
    agenda.note(body, Record("retry_topic", 0, offset, 0, None, None))


def test_the_logs_time_goes_on_by_a_steady_clock_and_never_ahead():
    clock = LogClock()
    assert clock.time_us(5) is None
    clock.observe(1000, 5.0)
    assert clock.time_us(7.5) == 3_500_000
    clock.observe(3000, 8.0)  # appended a second before it was seen
    assert clock.time_us(8.0) == 4_000_000
    clock.observe(9000, 9.0)  # we were late before
    assert clock.time_us(9.5) == 9_500_000


def test_a_retry_is_asked_for_when_it_is_due_until_it_is_in_the_log():
    agenda = Agenda()
    due(agenda, 7, 10 * S, offset=3)
    assert agenda.due(10 * S - 1, 0.0, NOBODY) == []
    asks = agenda.due(10 * S, 0.0, NOBODY)
    assert [(ask.command, ask.record) for ask in asks] == [("RetryScenario", {"scenario_id": 7, "attempt": 1})]
    assert agenda.due(11 * S, 1.0, NOBODY) == asks
    agenda.asked(asks, 1.0)
    assert agenda.due(99 * S, 2.0, NOBODY) == []


def test_the_same_word_gives_the_same_question_and_another_one_another():
    first, again = Agenda(), Agenda()
    for agenda in (first, again):
        due(agenda, 7, 0, offset=3)
        due(agenda, 7, 0, offset=4)
    ids = [ask.command_id for ask in first.due(S, 0.0, NOBODY)]
    assert ids == [ask.command_id for ask in again.due(S, 0.0, NOBODY)]
    assert len(set(ids)) == 2


def test_retries_come_in_the_order_of_their_time():
    agenda = Agenda()
    due(agenda, 1, 30, offset=1)
    due(agenda, 2, 10, offset=2)
    assert [ask.record["scenario_id"] for ask in agenda.due(S, 0.0, NOBODY)] == [2, 1]


def test_runs_are_looked_at_once_a_second_and_only_where_a_lease_is_over():
    agenda = Agenda()
    assert agenda.due(10 * S, 0.0, NOBODY) == []
    assert agenda.due(10 * S, 0.0, held(10 * S + 1)) == []
    asks = agenda.due(10 * S, 0.0, held(10 * S))
    assert [ask.command for ask in asks] == ["ReclaimScenarios"]
    agenda.asked(asks, 0.0)
    assert agenda.due(11 * S, 0.9, held(10 * S)) == []
    assert len(agenda.due(11 * S, 1.0, held(10 * S))) == 1
