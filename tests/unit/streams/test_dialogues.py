"""The processor of dialogues, as sentences."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from schemas import examples, serde
from schemas.errors import InvalidEvent
from streams.processors.dialogues import THRESHOLDS, State, idle, step
from streams.steps import Event
from tests.drivers.dialogues import (
    check_revisions,
    chunk,
    counter,
    in_the_end,
    is_idle,
    pieces,
    said,
    silence,
    unreadable,
    us,
)
from tests.drivers.processors import given

# --- the rules, in order ------------------------------------------------------------------------------------------


def test_speech_opens_a_dialogue_and_a_chunk_without_any_closes_it() -> None:
    dialogue = counter().when(chunk("a", 0, (1, 3), (5, 58)))
    dialogue.then({"status": "OPEN", "revision": 1, "start_us": us(1), "end_us": us(58)})
    dialogue.when(chunk("b", 60)).then({"status": "OPEN"}, {"status": "CLOSED", "revision": 2, "end_us": us(58)})
    first, second = (one.record for one in dialogue.emitted)
    assert first["dialogue_id"] == second["dialogue_id"]
    assert pieces(second) == [("a", 1000, 3000), ("a", 5000, 58000)]


def test_silence_within_the_gap_leaves_it_open() -> None:
    counter().given(chunk("a", 0, (50, 59))).when(chunk("b", 60, length=10)).then_nothing()


def test_exactly_the_gap_of_a_chunk_without_speech_leaves_it_open() -> None:
    counter().given(chunk("a", 0, (50, 59))).when(chunk("b", 60, length=11)).then_nothing()
    counter().given(chunk("a", 0, (50, 59))).when(chunk("b", 60, length=11.001)).then({"status": "CLOSED"})


def test_speech_goes_on_over_the_border_of_chunks() -> None:
    counter().given(chunk("a", 0, (50, 60))).when(chunk("b", 60, (0, 5), (8, 50))).then(
        {"status": "OPEN", "revision": 2, "start_us": us(50), "end_us": us(110)}
    )


def test_a_pause_longer_than_the_gap_over_a_border_is_two_dialogues() -> None:
    counter().given(chunk("a", 0, (30, 50))).when(chunk("b", 60, (2.001, 55))).then(
        {"status": "CLOSED", "revision": 2, "end_us": us(50)}, {"status": "OPEN", "start_us": us(62.001)}
    )
    counter().given(chunk("a", 0, (30, 50))).when(chunk("b", 60, (2, 55))).then({"status": "OPEN", "revision": 2})


def test_a_pause_longer_than_the_gap_in_a_chunk_is_two_dialogues_and_exactly_the_gap_is_one() -> None:
    counter().when(chunk("a", 0, (0, 10), (22.001, 55))).then({"status": "CLOSED"}, {"status": "OPEN"})
    counter().when(chunk("a", 0, (0, 10), (22, 55))).then({"status": "OPEN", "start_us": us(0), "end_us": us(55)})


def test_a_pause_in_a_chunk_that_continues_a_dialogue_ends_it_there() -> None:
    counter().given(chunk("a", 0, (50, 60))).when(chunk("b", 60, (0, 5), (35, 55))).then(
        {"status": "CLOSED", "revision": 2, "end_us": us(65)}, {"status": "OPEN", "revision": 1, "start_us": us(95)}
    )


def test_the_longest_dialogue_is_exactly_as_long_as_it_may_be() -> None:
    speech = [(float(second), float(second + 5)) for second in range(0, 60, 5)]
    exact = counter().given(chunk("a", 0, *speech)).when(chunk("b", 60, *speech))
    exact.then({"status": "CLOSED", "start_us": us(0), "end_us": us(120)})
    longer = counter().given(chunk("a", 0, *speech)).when(chunk("b", 60, *speech[:-1], (55, 60.001)))
    longer.then({"status": "CLOSED", "end_us": us(115)}, {"status": "OPEN", "start_us": us(115)})


def test_a_piece_longer_than_the_longest_stays_whole() -> None:
    counter().when(chunk("a", 0, (5, 290), (291, 295), length=300)).then(
        {"status": "CLOSED", "start_us": us(5), "end_us": us(290)}, {"status": "OPEN", "start_us": us(291)}
    )


def test_a_chunk_that_ends_a_gap_after_its_speech_closes_it_and_even_the_next_moment_is_another() -> None:
    counter().when(chunk("a", 0, (10, 48))).then({"status": "CLOSED", "end_us": us(48)})
    counter().when(chunk("a", 0, (10, 48.001))).then({"status": "OPEN"})
    counter().given(chunk("a", 0, (10, 48))).when(chunk("b", 60, (0, 55))).then({"revision": 1, "start_us": us(60)})


def test_a_reported_silence_closes_too() -> None:
    counter().given(chunk("a", 0, (10, 55))).when(silence(60)).then({"status": "CLOSED"})


def test_what_cannot_be_read_is_time_that_has_passed_but_not_more_than_a_chunk_of_it() -> None:
    counter().given(chunk("a", 0, (10, 59))).when(unreadable("b", 60)).then({"status": "CLOSED"})
    counter().given(chunk("a", 0, (10, 59))).when(unreadable("b", 60, 36_000), chunk("c", 120, (0, 59))).then(
        {"status": "CLOSED", "end_us": us(59)}, {"status": "OPEN", "start_us": us(120)}
    )


def test_nothing_changed_nothing_said() -> None:
    counter().given(chunk("a", 0, (10, 30))).when(chunk("b", 60), chunk("c", 120), silence(180)).then_nothing()


# --- late, twice, reversed, overlapping ---------------------------------------------------------------------------


def test_a_chunk_twice_is_the_same_chunk() -> None:
    counter().given(chunk("a", 0, (10, 55))).when(chunk("a", 0, (10, 55), log_s=90)).then_nothing()


def test_an_unreadable_chunk_that_is_redriven_counts_after_all_but_not_the_other_way_round() -> None:
    mended = counter().given(chunk("a", 0, (10, 60)), unreadable("b", 60))
    mended.when(chunk("b", 60, (0, 30))).then({"status": "CLOSED", "revision": 3, "end_us": us(90)})
    counter().given(chunk("a", 0, (10, 60))).when(unreadable("a", 0)).then_nothing()


def test_a_late_chunk_revises_the_closed_dialogue_that_it_continues() -> None:
    late = counter().given(chunk("a", 0, (10, 60)), chunk("c", 120, (30, 55)))
    late.when(chunk("b", 60, (0, 20), log_s=200)).then({"status": "CLOSED", "revision": 3, "end_us": us(80)})


def test_a_late_chunk_that_joins_two_dialogues_merges_them() -> None:
    late = counter().when(chunk("a", 0, (40, 60)), chunk("c", 120, (0, 20)), chunk("e", 180))
    one, other = dict.fromkeys(each.record["dialogue_id"] for each in late.emitted)
    late.given().when(chunk("b", 60, (0, 9), (20, 35), (45, 60), log_s=250)).then(
        {"dialogue_id": one, "status": "CLOSED", "start_us": us(40), "end_us": us(140), "merged_into": None},
        {"dialogue_id": other, "status": "WITHDRAWN", "merged_into": one, "pieces": [], "start_us": us(120)},
    )


def test_a_late_chunk_moves_the_cuts_after_it_and_every_dialogue_keeps_its_id() -> None:
    talk = [(float(second), second + 9.5) for second in range(0, 60, 10)]
    before = counter().when(*(chunk(f"{n}", 60.0 * n, *talk) for n in range(1, 6)))
    ids = [one["dialogue_id"] for one in sorted(said(one.record for one in before.emitted).values(), key=_start)]
    after = before.given().when(chunk("0", 0, (50, 60), log_s=400))
    after.then_records(lambda records: {one["status"] for one in records} <= {"OPEN", "CLOSED"})
    found = said(one.record for one in after.emitted)
    assert [one["dialogue_id"] for one in sorted(found.values(), key=_start)][:3] == ids
    assert [(one["end_us"] - one["start_us"]) / 1e6 for one in sorted(found.values(), key=_start)][:2] == [119.5, 119.5]


def _start(record: Any) -> Any:
    return record["start_us"]


def test_a_backlog_in_reverse_closes_nothing_before_its_end_is_known() -> None:
    chunks = [chunk("a", 0, (10, 60)), chunk("b", 60, (0, 59)), chunk("c", 120, (30, 55)), chunk("e", 180, (0, 5))]
    backwards = counter().when(*(replace(one, log_time_ms=us(300) // 1000) for one in reversed(chunks)))
    ends = {one.record["end_us"] for one in backwards.emitted if _is_closed(one.record)}
    assert ends == {us(119), us(185)}


def _is_closed(record: Any) -> bool:
    return record["status"] == "CLOSED"


def test_recordings_with_a_hole_between_them_close_when_the_later_came_in_its_order() -> None:
    counter().given(chunk("a", 0, (10, 59))).when(chunk("b", 600, length=5)).then({"status": "CLOSED"})


def test_beyond_a_hole_that_is_still_to_come_a_late_dialogue_waits_and_then_time_closes_it() -> None:
    waiting = counter().given(chunk("e", 600, (5, 10))).when(chunk("a", 0, (30, 60), log_s=700))
    waiting.then({"status": "OPEN"})
    waiting.when(silence(660, log_s=720), silence(720, log_s=891)).then({"status": "OPEN"})
    waiting.when(silence(780, log_s=892)).then({"status": "OPEN"}, {"status": "CLOSED", "revision": 2})


def test_the_first_chunk_of_a_recorder_claims_more_than_it_holds() -> None:
    first = chunk("a", 20, (5, 39), end_us=us(80), audio_ms=40_000)
    counter().given(first).when(chunk("b", 60, (1, 30))).then_records(
        lambda records: pieces(records[-1]) == [("a", 5000, 39000), ("b", 1000, 30000)]
    )


def test_speech_that_is_in_two_chunks_counts_once_whoever_came_first() -> None:
    one, other = chunk("a", 0, (40, 50), (55, 60)), chunk("b", 50, (5, 12), (20, 30))
    for order in ([one, other], [other, one]):
        (found,) = in_the_end(order)
        assert pieces(found) == [("a", 40000, 50000), ("a", 55000, 60000), ("b", 10000, 12000), ("b", 20000, 30000)]


def test_a_recording_that_is_wholly_in_another_leaves_no_dialogue_behind() -> None:
    late = counter().given(chunk("b", 10, (5, 10), length=30)).when(chunk("a", 0, (15, 20), log_s=70))
    late.then_records(lambda records: [pieces(one) for one in said(records).values()] == [[("a", 15000, 20000)]])
    gone = next(one.record for one in late.emitted if one.record["status"] == "WITHDRAWN")
    assert gone["merged_into"] == next(iter(said(one.record for one in late.emitted)))


def test_when_a_clock_goes_back_the_other_sound_of_the_same_time_is_not_lost() -> None:
    (found,) = in_the_end([chunk("a", 0, (5, 15), (30, 35)), chunk("b", 0, (17, 28), (40, 50))])
    assert len(pieces(found)) == 4


@pytest.mark.parametrize("year_us", [4_070_908_800_000_000, 0, 3_600_000_000], ids=["2099", "1970", "1970 too"])
def test_a_lying_timestamp_disturbs_nobody_else(year_us: int) -> None:
    true = [chunk("a", 0, (10, 60)), chunk("b", 60, (0, 40), (58, 60)), chunk("c", 120, (0, 5)), chunk("e", 180)]
    liar = chunk("liar", 0, (1, 5), (55, 59), log_s=90, start_us=year_us, end_us=year_us + 60_000_000)
    for at in range(5):
        events = [*true[:at], liar, *true[at:]]
        story = counter().when(*events)
        mine = [one.record for one in story.emitted if _about(one.record, "liar")]
        others = [one.record for one in story.emitted if not _about(one.record, "liar")]
        assert others == [one.record for one in counter().when(*true).emitted]
        assert mine
        assert len(in_the_end(events)) == 2 + 2


def _about(record: Any, name: str) -> bool:
    return any(one["chunk_id"] == name for one in record["pieces"])


# --- time that passes ---------------------------------------------------------------------------------------------


def test_a_device_that_falls_silent_closes_its_last_dialogue_once() -> None:
    evening = counter().given(chunk("a", 0, (10, 59)))
    assert idle(evening.state, us(60 + 191) // 1000) == []
    (due,) = idle(evening.state, us(60 + 192) // 1000)
    assert (due.name, due.key, due.record) == ("SpeechDeviceIdle", b"d", is_idle(60, 0).record)
    serde.encode(due.name, due.record)
    evening.when(is_idle(60, 253)).then({"status": "CLOSED", "revision": 2})
    assert idle(evening.state, us(9999) // 1000) == []
    evening.when(is_idle(60, 254)).then({"status": "CLOSED"})


def test_an_idle_device_that_was_heard_of_in_between_is_not_idle() -> None:
    counter().given(chunk("a", 0, (10, 60)), chunk("b", 60, (0, 59), log_s=252)).when(is_idle(60, 253)).then_nothing()
    counter().when(is_idle(60, 253)).then_nothing()


def test_after_hours_without_a_network_the_backlog_continues_where_it_was() -> None:
    back = counter().given(chunk("a", 0, (10, 60)), is_idle(60, 260))
    back.when(chunk("b", 60, (0, 30), log_s=8 * 3600), chunk("c", 120, (40, 59), log_s=8 * 3600 + 1)).then(
        {"status": "CLOSED", "revision": 3, "start_us": us(10), "end_us": us(90)},
        {"status": "OPEN", "revision": 1, "start_us": us(160)},
    )


def test_devices_do_not_meet() -> None:
    both = counter().when(chunk("a", 0, (10, 59)), chunk("b", 60, (0, 50), device_id="other"))
    both.then({"device_id": "d", "revision": 1}, {"device_id": "other", "revision": 1, "start_us": us(60)})


def test_a_device_is_forgotten_when_nobody_waits_for_it_any_more_and_what_was_open_is_closed() -> None:
    forgetful = replace(THRESHOLDS, forget_ms=1_000_000)
    long_ago = given(lambda state, event: step(state, event, forgetful), State()).given(chunk("a", 0, (10, 59)))
    long_ago.when(chunk("b", 0, device_id="other", log_s=1061)).then({"status": "CLOSED", "device_id": "d"})
    assert list(long_ago.state.devices) == ["other"]


def test_memory_is_bounded_for_a_device_and_in_total() -> None:
    small = replace(THRESHOLDS, device_bytes=8_000, total_bytes=30_000)
    state, records = State(), []
    rng = random.Random(5)
    for n in range(400):
        speech = sorted(rng.sample(range(60), 6))
        spans = [(float(start), float(end)) for start, end in zip(speech[::2], speech[1::2], strict=True)]
        state, emitted = step(state, chunk(f"{n}", 60.0 * n, *spans, device_id=f"d{n % 7}"), small)
        records += [one.record for one in emitted]
        sizes = [one.size for one in state.devices.values()]
        assert max(sizes) <= 8_000
        assert sum(sizes) <= 30_000 + 8_000
    assert len(msgspec.msgpack.encode(state)) <= 40_000
    remembered = {one.dialogue_id for device in state.devices.values() for one in device.dialogues}
    left = [one for name, one in said(records).items() if name not in remembered]
    assert {one["status"] for one in left} == {"CLOSED"}, "who is forgotten was closed"
    assert len(left) > 100
    check_revisions(records)


def test_a_chunk_that_comes_again_is_known_although_its_dialogue_is_forgotten() -> None:
    small, state, rng, chunks = replace(THRESHOLDS, device_bytes=20_000), State(), random.Random(3), list[Event]()
    for n in range(400):
        edges = sorted(rng.sample(range(60), 20))
        spans = [(float(start), float(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        chunks.append(chunk(f"{n:036}", 60.0 * n, *spans, sha256="a" * 64, stored_path="a" * 90))
        state, _ = step(state, chunks[-1], small)
    assert len(state.devices["d"].heard) < 100
    for old in chunks:
        again = replace(old, log_time_ms=chunks[-1].log_time_ms)
        _, emitted = step(state, again, small)
        assert [one.record for one in emitted if one.record["revision"] == 1] == []


def test_a_chunk_that_comes_again_is_known_although_others_needed_the_memory() -> None:
    small = replace(THRESHOLDS, device_bytes=10_000, total_bytes=12_000)
    state, chunks = State(), [chunk(f"{n:036}", 60.0 * n, (5, 9), (30, 60)) for n in range(40)]
    for one in chunks:
        state, _ = step(state, one, small)
    records: list[Any] = []
    for n in range(40):
        news = chunk(f"x{n:036}", 60.0 * (n + 50), (5, 9), (20, 40), device_id="other")
        state, emitted = step(state, news, small)
        records += [one.record for one in emitted if one.record["device_id"] == "d"]
    assert [one["status"] for one in records] == ["CLOSED"], "what was open was closed, once"
    assert (state.devices["d"].heard, state.devices["d"].dialogues) == ((), ())
    assert sum(len(msgspec.msgpack.encode(one)) for one in state.devices.values()) <= 12_000
    for old in chunks:
        _, emitted = step(state, replace(old, log_time_ms=news.log_time_ms), small)
        assert [one for one in emitted if one.record["device_id"] == "d"] == []


def test_devices_unheard_of_longest_go_where_even_the_marks_are_too_much() -> None:
    small, state = replace(THRESHOLDS, total_bytes=1_500), State()
    for n in range(200):
        state, _ = step(state, chunk(f"{n}", 60.0 * n, (5, 9), device_id=f"d{n}"), small)
        *before, last = state.devices
        assert last == f"d{n}"
        assert sum(state.devices[key].size for key in before) <= 1_500
    assert list(state.devices) == [f"d{n}" for n in range(200 - len(state.devices), 200)]
    assert 10 < len(state.devices) < 60


def test_a_chunk_of_hours_with_thousands_of_pieces_is_cut_and_does_not_stay_in_memory() -> None:
    hours = chunk("a", 0, *((2.0 * n, 2.0 * n + 1) for n in range(3600)), length=7200)
    state, emitted = step(State(), hours)
    assert sum(len(one.record["pieces"]) for one in emitted if one.record["revision"] == 1) == 3600
    assert state.devices["d"].size < 300_000
    check_revisions([one.record for one in emitted])


def test_short_noises_are_not_told_of_before_they_have_become_more() -> None:
    patient = replace(THRESHOLDS, minimum_ms=1000)
    noise = given(lambda state, event: step(state, event, patient), State())
    noise.when(chunk("a", 0, (58, 58.5))).then_nothing()
    noise.when(chunk("b", 60, (0, 0.5))).then({"status": "CLOSED", "revision": 1, "start_us": us(58)})
    noise.when(chunk("c", 120, (10, 10.9)), chunk("e", 180)).then({"revision": 1})


# --- what does not belong -----------------------------------------------------------------------------------------


def test_other_events_and_impossible_segments_are_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"not an event of speech\.segments"):
        counter().when(Event("DeviceSeen", examples.load("DeviceSeen"), 0))
    for speech in ([(5.0, 5.0)], [(5.0, 4.0)], [(5.0, 9.0), (8.0, 10.0)], [(-1.0, 2.0)]):
        with pytest.raises(InvalidEvent, match="not in order"):
            counter().when(chunk("a", 0, *speech))


def test_what_comes_out_can_be_written_and_a_state_read_back() -> None:
    story = counter().when(chunk("a", 0, (10, 60)), chunk("c", 120, (0, 9)), chunk("b", 60, (1, 58), log_s=200))
    for one in story.emitted:
        assert serde.decode(serde.encode(one.name, one.record)) == (one.name, one.record)
        assert one.key == b"d"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(story.state), type=State) == story.state


@pytest.mark.parametrize("wrong", [{"gap_ms": 0}, {"longest_ms": 36_000_000}, {"idle_ms": 11_999}])
def test_thresholds_that_cannot_work_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at most 30 minutes"):
        replace(THRESHOLDS, **wrong)


def test_a_clock_that_begins_anew_with_every_start_does_not_let_a_dialogue_grow_for_ever() -> None:
    small, state, rng = replace(THRESHOLDS, device_bytes=20_000), State(), random.Random(9)
    for n in range(60):
        edges = [second / 10 for second in sorted(rng.sample(range(600), 30))]
        spans = list(zip(edges[::2], edges[1::2], strict=True))
        boot = chunk(f"{n:036}", 0, *spans, log_s=60.0 * n, sha256="a" * 64, stored_path="a" * 90)
        state, emitted = step(state, boot, small)
        assert max((len(serde.encode(one.name, one.record)) for one in emitted), default=0) < 100_000
        assert state.devices["d"].size <= 20_000
