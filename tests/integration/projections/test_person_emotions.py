"""Cumulative times: the newest report of everybody stays, totals follow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas import serde
from tests.drivers.projecting import Site, site
from tests.drivers.waiting import eventually

MODEL = "person_emotions"
NOON = 1_763_123_696_000_000


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL) as made:
        yield made


def test_a_late_older_report_lowers_nothing(there: Site) -> None:
    there.report("jetson_1", [("1", 10.0, 2.0, 3.0, 4.0), ("2", 1.0, 0.0, 0.0, 0.0)], at_us=NOON)
    there.report("jetson_1", [("1", 5.0, 1.0, 1.0, 1.0)], at_us=NOON - 1)
    with there.projector():
        there.caught_up(MODEL)
        there.report("jetson_1", [("1", 6.0, 1.0, 1.0, 1.0)], at_us=NOON - 1)
        there.report("jetson_1", [("2", 0.25, 0.0, 0.0, 0.5)], at_us=NOON)  # the same time: the later one stays
        there.caught_up(MODEL)
    rows = there.sql("SELECT id, person_id, time_happy, time_neutral FROM person_emotions ORDER BY id")
    assert rows == [(1, "1", 10.0, 4.0), (2, "2", 0.25, 0.5)]
    assert there.sql("SELECT * FROM device_totals") == [("jetson_1", 10_250_000, 2_000_000, 3_000_000, 4_500_000)]


def test_a_clock_ahead_does_not_block_the_next_report(there: Site) -> None:
    century = 100 * 365 * 86400 * 1_000_000
    with there.projector():
        there.report("jetson_1", [("1", 10.0, 0.0, 0.0, 0.0)], at_us=NOON + century)
        there.caught_up(MODEL)
        there.report("jetson_1", [("1", 11.0, 0.0, 0.0, 0.0)], at_us=NOON + century - 5_000_000)
        there.caught_up(MODEL)
    assert there.sql("SELECT time_happy FROM person_emotions") == [(11.0,)]


def test_a_person_sent_twice_counts_twice_and_the_later_entry_stays(there: Site) -> None:
    start = there.reader.end_offsets("replies")
    people = [("1", 1.0, 0.0, 0.0, 0.0), ("1", 2.0, 0.0, 0.0, 0.0)]
    with there.projector():
        there.report("jetson_1", people, at_us=NOON, correlation_id=b"twice", reply_to=b"me")
        found = eventually(
            lambda: [r for r in there.records("replies", start) if r.header("correlation-id") == b"twice"]
        )
    assert serde.decode(found[0].value)[1]["updated"] == 2
    assert found[0].key == b"me"
    assert there.sql("SELECT time_happy FROM person_emotions") == [(2.0,)]
