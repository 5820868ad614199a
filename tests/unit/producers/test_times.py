"""Times of any offset or none, with or without fraction."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from producers.times import UnreadableTime, epoch_microseconds, epoch_milliseconds

MOSCOW = ZoneInfo("Europe/Moscow")
NOON_MS = 1_765_270_800_000  # 2025-12-09T12:00:00+03:00


@pytest.mark.parametrize(
    ("text", "expected", "naive"),
    [
        ("2025-12-09T12:00:00+03:00", NOON_MS, False),
        ("2025-12-09T09:00:00Z", NOON_MS, False),
        ("2025-12-09T12:00:00", NOON_MS, True),
        ("2025-12-09 12:00", NOON_MS, True),
        ("20251209T120000+0300", NOON_MS, False),
        ("2025-W50-2T12:00:00+03:00", NOON_MS, False),
        ("2025-12-09T12:00:00.1+03:00", NOON_MS + 100, False),
        ("2025-12-09T12:00:00.999999+03:00", NOON_MS + 999, False),
        ("2025-12-09T12:00:00.0019+03:00", NOON_MS + 1, False),
        ("2025-12-09", NOON_MS - 12 * 3_600_000, True),
    ],
)
def test_a_time_becomes_utc_milliseconds_with_the_fraction_cut_off(text: str, expected: int, naive: bool):
    assert epoch_milliseconds([text], MOSCOW) == ([expected], naive)


def test_every_tenth_of_a_second_is_exact():
    texts = [f"2025-12-09T12:00:{s:02d}.{t}00+03:00" for s in range(60) for t in range(10)]
    assert epoch_milliseconds(texts, None)[0] == [NOON_MS + 100 * n for n in range(600)]


def test_one_time_without_offset_is_noticed_among_others():
    times = ["2025-12-09T09:00:00Z", "2025-12-09T12:00:00"]
    assert epoch_milliseconds(times, MOSCOW) == ([NOON_MS, NOON_MS], True)


def test_without_a_declared_zone_the_machine_decides():
    local = datetime.fromtimestamp(NOON_MS / 1000, UTC).astimezone().replace(tzinfo=None)
    assert epoch_milliseconds([local.isoformat()], None) == ([NOON_MS], True)


@pytest.mark.parametrize("bad", ["yesterday", "", "2025-13-01", "12:00", "2025-12-09T12:00:00+99:00"])
def test_the_first_unreadable_time_is_named(bad: str):
    with pytest.raises(UnreadableTime) as caught:
        epoch_milliseconds(["2025-12-09T09:00:00Z", bad, "also bad"], MOSCOW)
    assert (caught.value.index, caught.value.text) == (1, bad)


def test_no_times_are_no_error():
    assert epoch_milliseconds([], None) == ([], False)


def test_microseconds_keep_their_fraction():
    assert epoch_microseconds("2025-12-09T12:00:00.000001+03:00", None) == NOON_MS * 1000 + 1
