"""The read model of security: what rows a log of decisions becomes, whatever is in its texts."""

from __future__ import annotations

from typing import Any

import pytest

from projections.kept_rows import Kept
from projections.projectors import security as projector
from projections.projectors.security import READ_MODEL, Security
from projections.read_model import Event, Target
from projections.sales_rows import moment
from projections.store import Transaction
from schemas import examples
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from schemas.record import Record
from tests.drivers.deciding import AT_US, RING
from tests.drivers.security import CAMERA, SECOND, THIEF, Guard, watch_details

TABLES = (projector.CAMERAS, projector.MUTES, projector.WATCH_LIST, projector.ALERTS)
WAITS = (("correlation-id", b"c"), ("reply-to", b"g"))


class Tables(Transaction):
    """Rows in memory: what is flushed replaces what was there, by table."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def run(self, statement: str, *parameters: Any) -> int:
        del parameters
        self.statements.append(statement)
        return 1

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        del parameters
        self.statements.append(statement)
        return []


def log_of(guard: Guard) -> list[Event]:
    """What a guard decided, as it lies in the log."""
    return [
        Event(Record("security.threats", 0, n, AT_US // 1000, b"security", None), fact.name, dict(fact.record))
        for n, fact in enumerate(guard.facts)
    ]


def folded(events: list[Event], ring: KeyRing = RING) -> dict[str, Kept]:
    kept = {table.name: Kept(table) for table in TABLES}
    for change in Security(Target("s", keyring=ring)).prepare(events).changes:
        for one in kept.values():
            if projector.concerns(change[0], one.table):
                projector.apply(one, change)
    return kept


@pytest.fixture
def guard() -> Guard:
    made = Guard()
    made.watch()
    return made


def test_a_threat_grows_and_is_settled(guard: Guard) -> None:
    guard.seen(0, alert_id="a")
    guard.seen(30)
    guard.told("SettleAlert", alert_id="a", verdict="escalated", note="a\x00b", by="token")
    row = folded(log_of(guard))["alerts"].rows["a",]
    wanted = {"sightings": 2, "status": "escalated", "note": "a\ufffdb", "settled_by": "token", "level": "high"}
    assert {name: row[name] for name in wanted} == wanted
    assert (row["start_at"], row["end_at"]) == (moment(AT_US), moment(AT_US + 30 * SECOND))
    assert (row["raised_offset"], row["kafka_offset"]) == (1, 3)
    history = Security(Target("s", keyring=RING)).prepare(log_of(guard)).sightings
    assert [one["event"] for one in history] == ["AlertRaised", "AlertUpdated", "AlertSettled"]


def test_a_signal_is_on_until_it_ends(guard: Guard) -> None:
    guard.signal(0, alert_id="d")
    assert folded(log_of(guard))["alerts"].rows["d",]["end_at"] is None
    guard.signal(0, score=0.9, alert_id="d")
    assert folded(log_of(guard))["alerts"].rows["d",]["end_at"] is None
    guard.signal(0, 9, 0.9, alert_id="d")
    row = folded(log_of(guard))["alerts"].rows["d",]
    assert (row["end_at"], row["score"]) == (moment(AT_US + 9 * SECOND), pytest.approx(0.9))


def test_who_is_taken_off_the_list_has_no_row(guard: Guard) -> None:
    row = folded(log_of(guard))["watch_list"].rows[THIEF,]
    assert (row["level"], row["reason"], row["instruction"]) == ("high", "Stole tea", None)
    guard.told("UnwatchPerson", user_id=THIEF)
    kept = folded(log_of(guard))["watch_list"]
    assert (kept.rows, kept.dropped) == ({}, {(THIEF,)})


def test_of_whom_the_key_is_gone_there_is_a_row_without_words(guard: Guard) -> None:
    row = folded(log_of(guard), KeyRing({"k2": b"2" * 32}, "k2"))["watch_list"].rows[THIEF,]
    assert (row["level"], row["reason"]) == ("high", None)
    with pytest.raises(ValueError, match="key ring"):
        Security(Target("s")).prepare(log_of(guard))


def test_an_altered_envelope_is_invalid(guard: Guard) -> None:
    (event,) = log_of(guard)
    sealed = watch_details(THIEF)
    event.body["details"] = sealed | {"content": sealed["content"][:-1] + b"x"}
    with pytest.raises(InvalidEvent):
        Security(Target("s", keyring=RING)).prepare([event])


def test_cameras_and_mutes(guard: Guard) -> None:
    guard.camera(name="Door")
    guard.told("MuteCamera", camera_id=CAMERA, kind="all", until_us=None)
    guard.told("MuteCamera", camera_id=CAMERA, kind="threat", until_us=guard.now_us + 1)
    kept = folded(log_of(guard))
    assert kept["cameras"].rows[CAMERA,]["name"] == "Door"
    assert {key: row["until"] for key, row in kept["camera_mutes"].rows.items()} == {
        (CAMERA, "all"): None, (CAMERA, "threat"): moment(guard.now_us + 1)
    }  # fmt: skip
    guard.told("MuteCamera", camera_id=CAMERA, kind="all", until_us=0)
    assert set(folded(log_of(guard))["camera_mutes"].rows) == {(CAMERA, "threat")}
    guard.told("RemoveCamera", camera_id=CAMERA)
    kept = folded(log_of(guard))
    assert not kept["cameras"].rows
    assert not kept["camera_mutes"].rows


def test_who_waits_is_answered_and_live_pages_are_told_of_alerts_only(guard: Guard) -> None:
    waiting = Record("security.threats", 0, 9, 0, b"security", None, headers=WAITS)
    settled = Event(waiting, "CommandSettled", examples.load("CommandSettled"))
    security, tables = Security(Target("s", keyring=RING)), Tables()
    effects = security.write(tables, security.prepare([*log_of(guard), settled]))
    assert ([reply.record for reply in effects.replies], effects.devices) == ([waiting], set())
    guard.signal(0)
    assert security.write(tables, security.prepare(log_of(guard))).devices == {"alerts"}
    assert any("INSERT INTO alerts" in one for one in tables.statements)


def test_scores_are_rows_that_are_not_compared() -> None:
    record = Record("security.deviance", 2, 5, 0, b"c", None)
    body = examples.load("DevianceScored") | {"at_us": None}
    (row,) = Security(Target("s", keyring=RING)).prepare([Event(record, "DevianceScored", body)]).scores
    assert (row["kafka_partition"], row["kafka_offset"], row["participants"]) == (2, 5, "[]")
    assert set(READ_MODEL.views) - set(READ_MODEL.checksums) == {"deviance_scores"}
    assert not any("score" in columns.split("|")[0] for columns in READ_MODEL.checksums.values())


def test_a_time_that_is_none_is_invalid(guard: Guard) -> None:
    (event,) = log_of(guard)
    event.body["at_us"] = 2**62
    with pytest.raises(InvalidEvent):
        Security(Target("s", keyring=RING)).prepare([event])
