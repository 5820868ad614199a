"""Whom a token stands for, after any sequence of records."""

from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.device_tokens import DeviceTokens, TokenTable, _Waiting
from producers.recorder_forms import Silence, epoch_us
from schemas import serde
from schemas.errors import InvalidEvent
from tests.drivers.recorders import device, token_set


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None]), st.booleans())))
def test_the_newest_record_of_a_device_counts(records: list[tuple[str, str | None, bool]]):
    table, expected = TokenTable(), dict[str, tuple[str, bool]]()
    for name, token, enabled in records:
        if token is None:
            table.apply(name.encode(), None)
            expected.pop(name, None)
        else:
            table.apply(name.encode(), token_set(device(name, token, enabled=enabled)))
            expected[name] = (token, enabled)
    assert len(table) == len(expected)
    for token in ("x", "y"):
        found = {one.device_id for one in table.find(token.encode())}
        assert found == {name for name, (own, enabled) in expected.items() if own == token and enabled}


def test_hashes_in_upper_case_are_the_same():
    table = TokenTable()
    one = device("a", "x")
    table.apply(b"a", token_set(device("a", "x", token_sha256=one.token_sha256.upper())))
    assert [found.device_id for found in table.find(b"x")] == ["a"]


@pytest.mark.parametrize("value", [b"", b"nonsense", serde.encode("DeviceSeen", {"device_id": "a", "seen_us": 1})])
def test_what_is_no_token_is_refused(value: bytes):
    with pytest.raises(InvalidEvent):
        TokenTable().apply(b"a", value)


def test_who_waits_is_answered_in_one_pass():
    looked: list[_Waiting] = []

    class Counted(_Waiting):
        def __eq__(self, other: object) -> bool:
            looked.append(self)
            return self is other

        __hash__ = None  # type: ignore[assignment]

    tokens = DeviceTokens("nowhere:1")
    reached, late, early = ([Counted(Future(), at, goal) for _ in range(50)] for at, goal in ((9, 0), (1, 7), (9, 7)))
    tokens._waiting = [*reached, *late, *early]
    tokens._settle(5.0)
    assert [id(one) for one in tokens._waiting] == [id(one) for one in early]
    assert {one.answer.result(0) for one in reached} == {True}
    assert {one.answer.result(0) for one in late} == {False}
    assert not any(one.answer.done() for one in early)
    assert looked == []


def test_times_at_the_ends_of_the_calendar_have_a_number():
    sent = {"point_id": "0" * 32, "register_id": "0" * 32, "device_id": "0" * 32}
    for text in ("0001-01-01T00:00:00", "9999-12-31T23:59:59"):
        silence = Silence.model_validate(sent | {"start_ts": text, "end_ts": text})
        assert epoch_us(silence.start_ts, None)
