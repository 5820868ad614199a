"""Whatever is asked in whatever order: nobody shares a user name, an e-mail or a place, and nothing is left behind."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import KeyRing
from streams.deciders import passengers
from streams.decisions import Accepted, Command
from tests.drivers.deciding import AT_US, RING
from tests.drivers.passengers import BY, adding, asking, passenger, ticket

NEWER = KeyRing({**RING.keys, "k2": bytes(32)}, "k2")
RINGS = st.sampled_from([RING, NEWER])
USERS = st.sampled_from(["u1", "u2", "u3"])
NAMES = st.sampled_from([None, "", "a", "b"])
TICKETS = st.sampled_from(["t1", "t2", "t3", "t4"])
LINKS = st.sampled_from(["k1", "k2"])
SAID = st.fixed_dictionaries({"name": NAMES, "username": NAMES, "email": NAMES})

COMMANDS = st.one_of(
    st.tuples(
        st.just("AddPassenger"),
        st.builds(lambda u, r, s, once: adding(passenger(u, r, **s), once=once), USERS, RINGS, SAID, st.booleans()),
    ),
    st.tuples(st.just("ChangePassenger"), st.builds(lambda u, r, s: passenger(u, r, **s), USERS, RINGS, SAID)),
    st.tuples(st.just("RemovePassenger"), st.builds(lambda u: {"user_id": u} | BY, USERS)),
    st.tuples(
        st.just("LinkKeycloakUser"),
        st.builds(lambda k, u: {"keycloak_id": k, "user_id": u} | BY, LINKS, USERS),
    ),
    st.tuples(st.just("UnlinkKeycloakUser"), st.builds(lambda k: {"keycloak_id": k} | BY, LINKS)),
    st.tuples(
        st.just("IssueTicket"),
        st.builds(
            lambda t, u, place: asking(ticket(t, u, place_number=place), once=True),
            TICKETS,
            USERS,
            st.integers(1, 2),
        ),
    ),
    st.tuples(st.just("UseTicket"), st.builds(lambda t: {"ticket_id": t, "robot_id": None} | BY, TICKETS)),
    st.tuples(st.just("CancelTicket"), st.builds(lambda t: {"ticket_id": t} | BY, TICKETS)),
)


class Told:
    """What is said of everybody, by the letter: the plain model to compare with."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, str]] = {}

    def take(self, name: str, record: dict[str, Any]) -> None:
        if name == "PassengerRemoved":
            del self.said[record["user_id"]]
        elif name in ("PassengerAdded", "PassengerChanged"):
            details = passengers.unseal(NEWER, record["details"], "PassengerDetails")
            assert isinstance(details, dict)
            mine = self.said.setdefault(record["user_id"], {})
            mine.update({k: details[k] for k in ("name", "username", "email") if details[k] is not None})

    def shared(self, field: str) -> list[str]:
        counts = Counter(one[field] for one in self.said.values() if one.get(field))
        return [value for value, count in counts.items() if count > 1]


@settings(max_examples=150, deadline=None)
@given(st.lists(COMMANDS, max_size=25))
def test_nothing_is_held_twice_and_nothing_is_left_behind(asked: list[tuple[str, dict[str, Any]]]):
    decide, evolve = passengers.decider(NEWER)
    state, told = passengers.State(), Told()
    for name, record in asked:
        verdict = decide(state, Command(name, record, AT_US, "c"))
        for fact in verdict.events if isinstance(verdict, Accepted) else ():
            state = evolve(state, fact.name, fact.record)
            told.take(fact.name, dict(fact.record))
    assert told.shared("username") == told.shared("email") == []
    assert set(state.passengers) == set(told.said)
    held = [set(state.usernames.values()), set(state.emails.values())]
    assert held == [{u for u, one in told.said.items() if one.get(field)} for field in ("username", "email")]
    assert sum(state.names.values()) == sum(1 for one in told.said.values() if one.get("name"))
    assert all(count == 1 for count in state.places.values())
    assert {t for one in state.passengers.values() for t in one.tickets} == set(state.tickets)
    assert {k: u for u, one in state.passengers.items() for k in one.links} == dict(state.links)
