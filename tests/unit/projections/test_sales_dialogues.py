"""Rows of dialogues: the newest wins, what comes again changes nothing, and the order between topics neither."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.projectors.sales_dialogues import Prepared, SalesDialogues, fold, newest_pieces
from projections.read_model import Event, Target
from projections.sales_rows import Key, Loaded, Row, moment
from projections.sales_tables import FOLDED, PIECES
from projections.sales_verdict_folds import parse_corrected
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from schemas.identity import analysis_id, analysis_task
from schemas.record import Record
from tests.drivers import sales
from tests.drivers.sales import NOON, Body, Saying, made_id

Store = dict[str, dict[Key, Row]]
Said = tuple[Record, str, Body]


def project(store: Store, batch: Sequence[Said], ring: KeyRing = sales.RING) -> None:
    """What the projector does with a batch, on tables in memory; of stored rows a fold sees the known columns only."""
    prepared: Prepared = SalesDialogues(Target("s", keyring=ring)).prepare([Event(*said) for said in batch])
    loaded = {table.name: Loaded(table) for table in FOLDED}
    for table in FOLDED:
        seen = {*table.key, *table.known}
        for key, row in store.setdefault(table.name, {}).items():
            loaded[table.name].rows[key] = {name: copy.deepcopy(row[name]) for name in seen}
    fold(loaded, prepared.events)
    for name, table in loaded.items():
        for row in table.changes():
            assert row.keys() == table.table.columns.keys(), name
            store[name][table.table.key_of(row)] = row
    pieces = store.setdefault(PIECES.name, {})
    for dialogue_id, rows in newest_pieces(loaded["dialogue_heads"], prepared.pieces).items():
        for key in [key for key in pieces if key[0] == dialogue_id]:
            del pieces[key]
        pieces.update({PIECES.key_of(row): row for row in rows})


def told(*sayings: Saying, ring: KeyRing = sales.RING) -> Store:
    """Each in a batch of its own, offsets counted per topic."""
    store: Store = {}
    for said in laid_out(sayings):
        project(store, [said], ring)
    return store


def laid_out(sayings: Sequence[Saying]) -> list[Said]:
    """In the log: one partition a topic, a second between events."""
    counts: dict[str, int] = {}
    said: list[Said] = []
    for n, (event, body) in enumerate(sayings):
        topic = sales.topic_of(event)
        counts[topic] = counts.get(topic, -1) + 1
        said.append((Record(topic, 0, counts[topic], NOON // 1000 + 1000 * n, None, None), event, body))
    return said


def only(store: Store, table: str) -> Row:
    (row,) = store[table].values()
    return row


REQUEST = made_id("request")
STORY: list[Saying] = [
    sales.dialogue("a", 1, status="OPEN"),
    sales.dialogue("a", 2),
    sales.dialogue("b", 1),
    sales.dialogue("b", 2, status="WITHDRAWN", merged_into=made_id("a"), pieces=[]),
    sales.dialogue("a", 3, end_us=NOON + 90_000_000),
    sales.started("a", 2),
    sales.transcript("a", 2, "Раз! Два!", final=False, second_pass_reason="short"),
    sales.transcript("a", 2, "Раз! Два! Три!", asr_pass="ACCURATE"),
    sales.started("b", 1),
    sales.failed("b", 1),
    sales.transcript("a", 3),
    sales.requested("a", REQUEST, 3),
    sales.analysis_started("a", 2),
    sales.analysed("a", 2),
    sales.analysed("a", 3),
    sales.analysis_failed("a", 3, REQUEST),
    sales.analysed("a", 3, REQUEST, quality_score=3),
    sales.reviewed("a", "r1", '{"attempted": "no"}'),
    sales.resolved("a", "r1", NOON),
    sales.reviewed("a", "r2", '{"quality_score": 1, "attempted": null}'),
    sales.resolved("a", "r2", NOON + 5),
    sales.resolved("a", "r2", NOON + 6, is_resolved=False),
    sales.corrected("a", "c1", "Раз, два."),
    sales.corrected("a", "c2", "Раз, два, три."),
]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_neither_the_order_between_topics_nor_doubles_nor_batches_change_a_row(data: st.DataObject) -> None:
    lanes: dict[str, list[Said]] = {}
    for said in laid_out(STORY):
        lanes.setdefault(said[0].topic, []).append(said)
    for topic, lane in lanes.items():
        again = data.draw(st.lists(st.tuples(st.integers(0, len(lane) - 1), st.integers(0, len(lane))), max_size=4))
        for which, later in again:
            record, event, body = STORY_LANES[topic][which]
            at = max(later, which + 1)
            copied = Record(topic, 0, 10_000 + at, record.timestamp_ms + 777, None, None)
            lane.insert(max(at, lane.index(STORY_LANES[topic][which]) + 1), (copied, event, body))
    order = data.draw(st.permutations([topic for topic, lane in lanes.items() for _ in lane]))
    merged = [lanes[topic].pop(0) for topic in order]
    store: Store = {}
    while merged:
        size = data.draw(st.integers(1, len(merged)))
        project(store, merged[:size])
        del merged[:size]
    assert store == told(*STORY)


STORY_LANES: dict[str, list[Said]] = {}
for _said in laid_out(STORY):
    STORY_LANES.setdefault(_said[0].topic, []).append(_said)


def test_an_older_revision_that_comes_late_changes_nothing_but_the_list_of_revisions() -> None:
    store = told(
        sales.dialogue("a", 2), sales.transcript("a", 2), sales.dialogue("a", 1), sales.transcript("a", 1, "?")
    )
    assert only(store, "dialogue_heads")["revision"] == 2
    assert len(store["dialogue_revisions"]) == 2
    assert (only(store, "transcripts")["revision"], only(store, "transcripts")["text"]) == (2, sales.TEXT)
    assert only(store, "analysis_wanted")["run"] == "revision/2"
    assert len(store["analysis_wants"]) == 2


def test_the_final_and_the_better_transcript_of_a_revision_stay() -> None:
    fast = sales.transcript("a", 1, "fast", final=False)
    accurate = sales.transcript("a", 1, "accurate", asr_pass="ACCURATE")
    for order in ([fast, accurate], [accurate, fast], [fast, accurate, fast]):
        assert only(told(*order), "transcripts")["text"] == "accurate"
    again = sales.transcript("a", 1, "fast again")
    assert only(told(fast, again), "transcripts")["text"] == "fast again"
    assert told(fast)["analysis_wants"] == {}


def test_a_transcript_keeps_its_words_apart_from_the_original_segments() -> None:
    row = only(told(sales.transcript("a")), "transcripts")
    assert set(row["segments_json"][0]) == {"id", "start", "end", "text", "avg_logprob", "no_speech_prob"}
    assert row["words_json"][0] == {
        "segment": 0, "start": 0.0, "end": 2.0, "word": "Здравствуйте!", "probability": 0.9,
    }  # fmt: skip


def test_a_forgotten_key_leaves_the_rows_without_their_words() -> None:
    lost = KeyRing({"k2": bytes(32)}, "k2")
    said = [
        sales.dialogue("a"), sales.transcript("a"), sales.analysed("a"),
        sales.reviewed("a", "r", '{"attempted": "no"}'), sales.corrected("a", "c", "x"),
    ]  # fmt: skip
    store = told(*said, ring=lost)
    row = only(store, "transcripts")
    assert (row["text"], row["segments_json"], row["words_json"], row["forgotten"]) == ("", None, None, True)
    row = only(store, "analysis_runs")
    assert (row["summary"], row["evidence_quotes"], row["attempted"], row["forgotten"]) == ("", [], "yes", True)
    assert only(store, "dialogue_reviews")["notes"] is None
    assert only(store, "review_states")["attempted"] == "no"
    assert only(store, "corrected_texts")["text"] == ""


def test_a_failure_gives_way_to_a_later_start_and_to_a_transcript() -> None:
    store = told(sales.started("a"), sales.failed("a"), sales.started("a"))
    row = only(store, "transcriptions")
    assert row["failed_at"] > row["started_at"]
    row = only(told(sales.failed("a"), sales.started("a", started_us=NOON + 10**9)), "transcriptions")
    assert row["failed_at"] < row["started_at"]
    row = only(told(sales.failed("a"), sales.transcript("a")), "transcriptions")
    assert row["done"] is True


def test_a_verdict_beats_an_error_and_the_first_verdict_stays() -> None:
    first, second = sales.analysed("a", quality_score=3), sales.analysed("a", quality_score=0)
    failed, skipped = sales.analysis_failed("a"), sales.skipped("a")
    for order in ([first, failed, second], [failed, first], [skipped, first, skipped]):
        assert only(told(*order), "analysis_runs")["quality_score"] == 3
    skip = only(told(skipped), "analysis_runs")
    assert (skip["attempted"], skip["quality_score"], skip["summary"], skip["model"]) == (
        "uncertain", 0, "Skipped: transcript_too_short (3 chars)", None,
    )  # fmt: skip


def test_the_verdict_on_the_accurate_pass_stays_whenever_it_comes() -> None:
    ids = {one: analysis_id(analysis_task(made_id("a"), 1, one)) for one in ("FAST", "ACCURATE")}
    fast = sales.analysed("a", quality_score=0, analysis_id=ids["FAST"])
    accurate = sales.analysed("a", quality_score=3, analysis_id=ids["ACCURATE"], finished_us=NOON + 99_000_000)
    again = sales.analysed("a", quality_score=0, analysis_id=ids["FAST"], finished_us=NOON + 999_000_000)
    orders = [[fast, accurate], [accurate, fast], [fast, accurate, again], [fast, accurate, accurate]]
    for order in [*orders, [fast, accurate, sales.analysis_failed("a"), sales.skipped("a")]]:
        row = only(told(*order), "analysis_runs")
        assert (row["quality_score"], str(row["analysis_id"])) == (3, ids["ACCURATE"])
    assert only(told(fast, again), "analysis_runs")["finished_at"] == moment(NOON + 80_000_000)


def test_every_answer_is_paid_for_once() -> None:
    failed, done = sales.analysis_failed("a", cost_micros=5), sales.analysed("a", cost_micros=7)
    again = sales.analysis_failed("a", cost_micros=6, finished_us=NOON + 99_000_000)
    costs = told(failed, failed, again, done, done)["analysis_costs"].values()
    assert sorted(cost["cost_micros"] for cost in costs) == [5, 6, 7]


def test_reviews_flag_and_settle_and_their_corrections_add_up() -> None:
    flagged = sales.reviewed("a", "r", '{"attempted": "yes", "quality_score": 2}')
    settled = sales.resolved("a", "r", NOON)
    assert only(told(flagged), "review_states")["status"] == "FLAGGED"
    assert only(told(flagged, settled, flagged), "review_states")["status"] == "RESOLVED"
    store = told(flagged, settled, sales.resolved("a", "r", NOON + 1, is_resolved=False), settled)
    assert only(store, "review_states")["status"] == "FLAGGED"
    assert only(store, "dialogue_reviews")["resolved"] is False
    state = only(told(flagged, sales.reviewed("a", "r2", '{"quality_score": 0}')), "review_states")
    assert (state["attempted"], state["quality_score"], state["reviews"]) == ("yes", 0, 2)


def test_pieces_are_those_of_the_newest_revision() -> None:
    store = told(sales.dialogue("a", 1))
    assert len(store[PIECES.name]) == 1
    assert told(sales.dialogue("a", 1), sales.dialogue("a", 2, status="WITHDRAWN"))[PIECES.name] == {}
    twice = sales.dialogue("a", 1)[1]["pieces"] * 2
    assert len(told(sales.dialogue("a", 1, pieces=twice))[PIECES.name]) == 1


@pytest.mark.parametrize(
    "said",
    [
        sales.dialogue("a", dialogue_id="seven"),
        sales.dialogue("a", end_us=NOON - 1),
        sales.dialogue("a", start_us=10**18 * 9, end_us=10**18 * 9),
        sales.analysed("a", quality_score=4),
        sales.analysed("a", analysis_id=""),
        sales.reviewed("a", "r", "[1]"),
        sales.reviewed("a", "r", "{"),
        sales.requested("a", "no uuid"),
    ],
)
def test_what_can_never_be_a_row_is_invalid(said: Saying) -> None:
    with pytest.raises(InvalidEvent):
        told(said)


@pytest.mark.parametrize(
    "bad",
    ['{"attempted": "maybe"}', '{"quality_score": 4}', '{"quality_score": true}', '{"categories": [1]}',
     '{"closing_question": 1}', '{"status": "DONE"}'],
)  # fmt: skip
def test_corrections_have_known_fields_and_values(bad: str) -> None:
    with pytest.raises(InvalidEvent):
        parse_corrected(bad)


def test_corrections_drop_nulls() -> None:
    full: dict[str, Any] = {"attempted": "no", "categories": ["tea"], "closing_question": False}
    assert parse_corrected('{"attempted": "no", "categories": ["tea"], "closing_question": false}') == full
    assert parse_corrected('{"attempted": null}') is None
    assert parse_corrected(None) is None


def test_an_altered_envelope_is_invalid() -> None:
    event, body = sales.transcript("a")
    body["words"] = body["words"] | {"subject": "register/another"}
    with pytest.raises(InvalidEvent, match="does not open"):
        told((event, body))
