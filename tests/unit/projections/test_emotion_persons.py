"""Numbers of persons: highest so far + 1, borrowed where the live version knows somebody, never given twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.emotion_persons import PersonKey, Persons


class Tables:
    """Persons of an own and a live version, as a transaction shows them."""

    def __init__(self, own: dict[PersonKey, int], live: dict[PersonKey, int]) -> None:
        self.own, self.live = dict(own), live

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        table = self.live if "live.persons" in statement else self.own
        if "max(person_id)" in statement:
            return [(max(table.values(), default=0),)]
        if "ANY" in statement:
            return [(number,) for number in self.own.values() if number in parameters[0]]
        wanted = zip(*parameters, strict=True)
        return [(*key, table[key], 5) for key in wanted if key in table]

    def run(self, statement: str, *parameters: Any) -> int:
        if statement.startswith("UPDATE persons "):
            other, number = parameters
            self.own = {key: other if mine == number else mine for key, mine in self.own.items()}
        return 1


def key(n: int) -> PersonKey:
    return ("d", "s", n)


def numbers(persons: Persons, tables: Tables, *people: int) -> list[int]:
    """Resolve as a batch does, and store the new ones."""
    resolved = persons.resolve(tables, [key(n) for n in people])  # pyright: ignore[reportArgumentType]
    tables.own |= {one: known.number for one, known in resolved.items()}
    return [resolved[key(n)].number for n in people]


def test_the_live_version_counts_on_and_remembers() -> None:
    persons, tables = Persons(None, loading=False), Tables({key(9): 4}, {})
    assert numbers(persons, tables, 1, 9, 2, 1) == [5, 4, 6, 5]
    assert numbers(persons, tables, 2, 3) == [6, 7]


def test_who_is_unknown_to_the_live_version_gets_no_number_that_is_being_borrowed() -> None:
    persons, live = Persons("live", loading=False), {key(1): 1}
    tables = Tables({}, live)
    assert numbers(persons, tables, 1) == [1]
    live |= {key(3): 2, key(5): 3}
    assert numbers(persons, tables, 2, 3, 4, 5) == [4, 2, 5, 3]


def test_a_number_that_the_live_version_gave_anew_is_freed() -> None:
    persons, live = Persons("live", loading=False), {key(1): 1, key(2): 2}
    tables = Tables({}, live)
    numbers(persons, tables, 1, 2)
    live.clear()  # truncated
    live |= {key(7): 1, key(8): 2, key(9): 3}
    assert numbers(persons, tables, 7, 8, 9) == [1, 2, 3]
    assert numbers(persons, tables, 1, 2) == [4, 5]


def test_forgotten_means_looked_up_again() -> None:
    persons, tables = Persons(None, loading=False), Tables({}, {})
    assert numbers(persons, tables, 1) == [1]
    persons.forget()
    tables.own.clear()
    assert numbers(persons, tables, 2) == [1]


def test_no_more_than_its_capacity_is_remembered() -> None:
    persons, tables = Persons(None, loading=False, capacity=2), Tables({}, {})
    assert numbers(persons, tables, 1, 2, 3, 4) == [1, 2, 3, 4]
    assert numbers(persons, tables, 1, 5) == [1, 5]
    assert len(persons._known) == 2


@given(st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=4), max_size=6), st.data())
def test_nobody_shares_a_number(batches: list[list[int]], data: st.DataObject) -> None:
    persons, live = Persons("live", loading=False), dict[PersonKey, int]()
    tables = Tables({}, live)
    for people in batches:
        if data.draw(st.booleans()):
            live.clear()
        for n in data.draw(st.lists(st.integers(1, 8), unique=True, max_size=4)):
            live.setdefault(key(n), max(live.values(), default=0) + 1)
        numbers(persons, tables, *people)
        assert len(set(tables.own.values())) == len(tables.own)
