from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.tracking import Tracked, Tracker

LEFT, RIGHT = Box(0, 0, 100, 100), Box(400, 0, 500, 100)
STEP = 0.2


def shown(tracker: Tracker, *frames: list[Box], start: float = 0.0) -> list[Tracked]:
    """Frames every 200 ms, beginning at frame number `start`."""
    return [tracker.update((start + index) * STEP, boxes) for index, boxes in enumerate(frames)]


def ids(tracked: Tracked) -> list[tuple[int, int]]:
    return [(one.session_person_id, one.track_id) for one in tracked.sightings]


def test_a_face_counts_from_its_third_box_on() -> None:
    assert [ids(one) for one in shown(Tracker(), [LEFT], [LEFT], [LEFT], [LEFT])] == [[], [], [(1, 1)], [(1, 1)]]


def test_a_single_false_box_makes_nobody() -> None:
    assert all(not one.sightings for one in shown(Tracker(), [LEFT], [], [LEFT], [], [LEFT], []))


def test_two_faces_are_two_people_whatever_the_order_of_their_boxes() -> None:
    seen = shown(Tracker(), [LEFT, RIGHT], [RIGHT, LEFT], [LEFT, RIGHT], [RIGHT, LEFT])
    assert {one.session_person_id: one.box for one in seen[-1].sightings} == {1: LEFT, 2: RIGHT}


def test_a_moving_face_keeps_its_track() -> None:
    walk = [[Box(x, 0, x + 100, 100)] for x in range(0, 400, 40)]
    assert ids(shown(Tracker(), *walk)[-1]) == [(1, 1)]


def test_one_missed_box_does_not_break_the_track() -> None:
    assert ids(shown(Tracker(), [LEFT], [LEFT], [LEFT], [], [LEFT])[-1]) == [(1, 1)]


def test_a_face_back_after_a_second_is_the_same_person_on_a_new_track() -> None:
    seen = shown(Tracker(), *[[LEFT]] * 3, *[[]] * 5, *[[LEFT]] * 3)
    assert ids(seen[-1]) == [(1, 2)]
    assert not any(one.ended for one in seen)


def test_a_face_elsewhere_is_somebody_else() -> None:
    seen = shown(Tracker(), *[[LEFT]] * 3, *[[]] * 5, *[[RIGHT]] * 3)
    assert ids(seen[-1]) == [(2, 2)]


def test_a_person_away_for_longer_has_gone_and_is_not_found_again() -> None:
    seen = shown(Tracker(), *[[LEFT]] * 3, *[[]] * 12, *[[LEFT]] * 3)
    assert [one.ended for one in seen if one.ended] == [(1,)]
    assert ids(seen[-1]) == [(2, 2)]


def test_closing_names_those_present_and_those_waited_for() -> None:
    tracker = Tracker()
    shown(tracker, *[[LEFT, RIGHT]] * 3, *[[RIGHT]] * 5)
    assert tracker.close() == (1, 2)
    assert tracker.close() == ()


def test_numbers_are_never_given_twice() -> None:
    tracker = Tracker()
    shown(tracker, *[[LEFT]] * 3)
    tracker.close()
    assert ids(shown(tracker, *[[LEFT]] * 3, start=10)[-1]) == [(2, 2)]


boxes = st.builds(lambda x, y, size: Box(x, y, x + size, y + size), *[st.integers(0, 600)] * 2, st.integers(20, 200))


@given(st.lists(st.lists(boxes, max_size=4, unique=True), max_size=40))
def test_every_person_seen_ends_exactly_once_and_no_box_is_given_to_two(frames: list[list[Box]]) -> None:
    tracker = Tracker()
    seen = shown(tracker, *frames)
    ended = [person for one in seen for person in one.ended] + list(tracker.close())
    people = {person for one in seen for person, _ in ids(one)}
    assert sorted(ended) == sorted(people)
    for one in seen:
        assert len({track for _, track in ids(one)}) == len(one.sightings)
        assert len({person for person, _ in ids(one)}) == len(one.sightings)
