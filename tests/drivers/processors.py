"""given/when/then for processors: `given(step, state).when(event, ...).then(expected, ...)`. Needs nothing external."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from streams.steps import Emitted, Event, Step

S = TypeVar("S")


class Given(Generic[S]):
    """A processor with a state; the log's clock stands still unless an event says otherwise."""

    def __init__(self, step: Step[S], state: S) -> None:
        self._step, self.state = step, state
        self.emitted: list[Emitted] = []

    def given(self, *events: Event) -> Given[S]:
        """What happened before: its outputs do not count."""
        return self.when(*events)._forget_outputs()

    def when(self, *events: Event) -> Given[S]:
        """Process events; outputs add up."""
        for event in events:
            self.state, emitted = self._step(self.state, event)
            self.emitted += emitted
        return self

    def then(self, *expected: Mapping[str, Any]) -> Given[S]:
        """Exactly these came out, in this order; each is a part of the record, floats to 1e-6."""
        assert len(self.emitted) == len(expected), [dict(one.record) for one in self.emitted]
        for one, wanted in zip(self.emitted, expected, strict=True):
            _assert_part(one.record, wanted)
        return self

    def then_nothing(self) -> Given[S]:
        """No output at all."""
        return self.then()

    def then_records(self, check: Callable[[Sequence[Mapping[str, Any]]], bool]) -> Given[S]:
        """The records that came out satisfy a predicate."""
        records = [one.record for one in self.emitted]
        assert check(records), records
        return self

    def _forget_outputs(self) -> Given[S]:
        self.emitted = []
        return self


def given(step: Step[S], state: S) -> Given[S]:
    """Start a sentence about a processor."""
    return Given(step, state)


def _assert_part(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        got = record[name]
        same = abs(got - value) < 1e-6 if isinstance(value, float) else got == value
        assert same, f"{name} is {got!r}, not {value!r}, in {dict(record)}"
