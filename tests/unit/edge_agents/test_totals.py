from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.delivery import Delivery, ServerAddress
from edge_agents.emotion_sensor.keepers import TotalsKeeper
from edge_agents.emotion_sensor.totals import Totals, TotalsReporter, Watch, batch, present_together
from edge_agents.emotion_sensor.tracking import Sighting, TrackingRules

NOON_MS = 1_765_281_600_000


@pytest.fixture
def totals(tmp_path: Path) -> Iterator[Totals]:
    sums = Totals(tmp_path)
    yield sums
    sums.close()


def test_looks_add_the_time_between_them() -> None:
    watch = Watch()
    assert [watch.look(1, moment) for moment in (10.0, 10.2, 10.5)] == pytest.approx([0, 0.2, 0.3])


def test_a_pause_counts_for_nobody() -> None:
    watch = Watch()
    assert [watch.look(1, moment) for moment in (10.0, 18.0, 18.5)] == [0, 0, 0.5]


def test_who_has_gone_begins_anew() -> None:
    watch = Watch()
    watch.look(1, 10.0)
    watch.forget([1])
    assert watch.look(1, 10.5) == 0


def test_sums_are_cumulative_and_other_expressions_add_nothing(totals: Totals) -> None:
    totals.add({1: ("happy", 0.5), 2: ("fear", 0.5)}, NOON_MS)
    totals.add({1: ("happy", 0.25), 2: ("sad", 1.0)}, NOON_MS + 500)
    assert batch("d", totals.unreported()) == {
        "device_id": "d",
        "timestamp": "2025-12-09T12:00:00.500000+00:00",
        "people": [
            {"person_id": "1", "cumulative": {"happy": 0.75, "sad": 0.0, "angry": 0.0, "neutral": 0.0}},
            {"person_id": "2", "cumulative": {"happy": 0.0, "sad": 1.0, "angry": 0.0, "neutral": 0.0}},
        ],
    }


def test_a_restart_continues_the_sums_and_numbers_people_on(totals: Totals, tmp_path: Path) -> None:
    totals.add({4: ("happy", 1.0)}, NOON_MS)
    again = Totals(tmp_path)
    assert again.next_person() == 5
    again.add({4: ("happy", 1.0)}, NOON_MS)
    assert again.unreported()[0][1] == 2.0
    again.close()


def test_what_is_added_during_a_report_is_reported_next(totals: Totals) -> None:
    totals.add({1: ("happy", 1.0)}, NOON_MS)
    sent = totals.unreported()
    totals.add({1: ("happy", 1.0)}, NOON_MS + 100)
    totals.reported(sent)
    assert [row[1] for row in totals.unreported()] == [2.0]
    totals.reported(totals.unreported())
    assert totals.unreported() == []


def test_people_of_different_hours_are_reported_apart(totals: Totals) -> None:
    totals.add({1: ("sad", 1.0)}, NOON_MS)
    totals.add({2: ("sad", 1.0)}, NOON_MS + 3_600_000)
    assert [row[0] for row in present_together(totals.unreported())] == [1]


def reporter(answers: list[httpx.Response], seen: list[dict[str, Any]]) -> tuple[TotalsReporter, Delivery]:
    import json

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return answers.pop(0)

    delivery = Delivery(ServerAddress("http://gateway.test"), httpx.MockTransport(answer))
    return TotalsReporter("d", lambda: pytest.fail("not started"), delivery), delivery


def test_an_unreachable_server_loses_nothing(totals: Totals) -> None:
    seen: list[dict[str, Any]] = []
    report, delivery = reporter([httpx.Response(503), *[httpx.Response(200, json={"status": "ok"})] * 2], seen)
    totals.add({1: ("sad", 1.0)}, NOON_MS)
    assert report.step(totals) >= 5
    totals.add({2: ("sad", 1.0)}, NOON_MS + 3_600_000)
    assert report.step(totals) == 5
    assert [[one["person_id"] for one in body["people"]] for body in seen] == [["1"], ["1"], ["2"]]
    assert totals.unreported() == []
    delivery.close()


def test_on_a_full_disk_looks_are_held_and_counted_later(totals: Totals, caplog: pytest.LogCaptureFixture) -> None:
    keeper = TotalsKeeper(totals, TrackingRules())
    keeper.new_session(NOON_MS)
    seen = [(Sighting(1, 1, Box(0, 0, 9, 9)), {"happy": 1.0})]
    add, gate = totals.add, [False]

    def gated(*arguments: Any) -> None:
        import sqlite3

        if not gate[0]:
            raise sqlite3.OperationalError("database or disk is full")
        add(*arguments)

    totals.add = gated  # type: ignore[method-assign]
    for n in range(5):
        keeper.keep(seen, NOON_MS + n * 200, n * 0.2)
    assert "Free disk space" in caplog.text
    gate[0] = True
    keeper.keep(seen, NOON_MS + 1000, 1.0)
    assert totals.unreported()[0][1] == pytest.approx(1.0)


def test_people_of_a_later_session_have_numbers_of_their_own(totals: Totals) -> None:
    totals.add({7: ("happy", 1.0)}, NOON_MS)
    keeper = TotalsKeeper(totals, TrackingRules())
    keeper.new_session(NOON_MS)
    keeper.keep([(Sighting(1, 1, Box(0, 0, 9, 9)), {"sad": 1.0})], NOON_MS + 1, 0.0)
    assert [row[0] for row in totals.unreported()] == [7, 8]
