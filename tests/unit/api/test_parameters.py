"""Parameters, cursors, entity tags and accepted types, without a server."""

from __future__ import annotations

from uuid import UUID

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api import cursors
from api.answers import etag_of, is_known
from api.parameters import Period, epoch_ms, wanted_format
from api.routes.summary import current_emotion


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2025-12-09T17:15:34+03:00", 1_765_289_734_000),
        ("2025-12-09T17:15:34 03:00", 1_765_289_734_000),  # a plus that a form decoded
        ("2025-12-09T14:15:34Z", 1_765_289_734_000),
        ("2025-12-09T14:15:34.9999", 1_765_289_734_999),
        ("2025-12-09", 1_765_238_400_000),
        ("1969-12-31T23:59:59.5Z", -500),
    ],
)
def test_times_are_utc_milliseconds(text: str, ms: int) -> None:
    assert epoch_ms(text) == ms


def test_a_range_takes_either_form_and_clamps_the_absurd() -> None:
    period = Period.model_validate({"from": "1970-01-01T00:00:01Z", "to_ms": str(10**30)})
    assert (period.first(), period.end()) == (1000, 2**63 - 1)
    with pytest.raises(ValidationError):
        Period.model_validate({"to": "soon"})


def test_cursors_come_back_as_they_went() -> None:
    key = UUID("00000000-0000-0000-0000-000000000001")
    assert cursors.read(cursors.write(5, "ü/?", "s"), int, str, str) == (5, "ü/?", "s")
    assert cursors.read(cursors.write(5, str(key)), int, UUID) == (5, key)
    assert cursors.read(None, int) is None


@pytest.mark.parametrize("cursor", ["", "x", "ä", cursors.write(1), cursors.write("1", 2), cursors.write(True, 2)])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(RequestValidationError):
        cursors.read(cursor, int, int)


@pytest.mark.parametrize("key", [(2**63 - 1, "t"), (253_402_300_800_000_000, "t"), (-1, "t"), (True, "t"), (0, "\0")])
def test_a_cursor_that_no_database_takes_is_refused(key: tuple[int, str]) -> None:
    with pytest.raises(RequestValidationError):
        cursors.read(cursors.write(*key), cursors.EpochUs, str)


def test_a_time_in_a_cursor_comes_back() -> None:
    assert cursors.read(cursors.write(1_700_000_000_000_000, "t"), cursors.EpochUs, str) == (1_700_000_000_000_000, "t")


def test_entity_tags_compare_weakly_and_in_lists() -> None:
    tag = etag_of(b"body")
    assert tag != etag_of(b"bodz")
    assert is_known(tag, tag)
    assert is_known(f'"a", W/{tag}', tag)
    assert is_known("*", tag)
    assert not is_known('"a"', tag)
    assert not is_known(None, tag)


@pytest.mark.parametrize(
    ("asked", "accept", "kind"),
    [
        (None, None, "json"),
        (None, "text/csv", "csv"),
        ("json", "text/csv", "json"),
        (None, "application/vnd.apache.parquet, */*;q=0.1", "parquet"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        (None, "application/json, text/csv", "json"),
    ],
)
def test_the_parameter_decides_then_accept(asked: str | None, accept: str | None, kind: str) -> None:
    assert wanted_format(asked, accept) == kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("times", "emotion"),
    [
        ((0, 0, 0, 0), "neutral"),
        ((2, 2, 2, 2), "happy"),
        ((0, 2, 2, 1), "sad"),
        ((0, 0, 1, 1), "angry"),
        ((0, 0, 0, 1), "neutral"),
    ],
)
def test_ties_go_to_the_earlier_emotion(times: tuple[float, ...], emotion: str) -> None:
    names = ("time_happy", "time_sad", "time_angry", "time_neutral")
    assert current_emotion(dict(zip(names, times, strict=True))) == emotion
