"""What the decider `access` remembers: engineers, cards, and components with what is open of theirs. Pure values.

Nothing secret lies in here: logins and cards are keyed marks, challenges and tokens are hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from immutables import Map

ROBOT: Final = "ROBOT"
STORE: Final = "STORE"
"""Types of components; a store's terminal goes by the store's id."""


class Engineer(msgspec.Struct, frozen=True, array_like=True):
    """An engineer; the mark stands for the login and is empty when its key is gone."""

    mark: str
    privileges: int = 0
    card_mark: str | None = None


class Challenge(msgspec.Struct, frozen=True, array_like=True):
    """An open question to a component; `proof_sha256` is of the text that only its key reveals."""

    challenge_id: str
    proof_sha256: str
    nonce: str | None
    expires_us: int


class Session(msgspec.Struct, frozen=True, array_like=True):
    """A component is signed in until then, UTC epoch microseconds."""

    session_id: str
    expires_us: int


class Component(msgspec.Struct, frozen=True, array_like=True):
    """A robot or a store's terminal, with what is open of it, the oldest first."""

    client_type: str
    component_id: str
    public_key: str
    algorithm: str
    model_id: str | None = None
    challenges: tuple[Challenge, ...] = ()
    sessions: tuple[Session, ...] = ()

    @property
    def key(self) -> str:
        """What the component is called in the state."""
        return f"{self.client_type}/{self.component_id}"


class State(msgspec.Struct, frozen=True):
    """All access to the railway, in one partition: logins, cards and robots are unique."""

    engineers: Map[str, Engineer] = Map()
    logins: Map[str, str] = Map()
    cards: Map[str, str] = Map()
    """Mark -> engineer."""
    components: Map[str, Component] = Map()
    models: Map[str, str] = Map()
    """robot_model_id -> robot."""
    challenges: Map[str, str] = Map()
    sessions: Map[str, str] = Map()
    """Id -> component's key."""


def component(state: State, client_type: str, component_id: str) -> Component | None:
    """The component of this type with this id."""
    return state.components.get(f"{client_type}/{component_id}")


def open_session(state: State, session_id: str) -> Session | None:
    """The session, expired or not, unless it is forgotten."""
    owner = state.components.get(state.sessions.get(session_id, ""))
    return next((one for one in owner.sessions if one.session_id == session_id), None) if owner else None


def open_challenge(state: State, challenge_id: str) -> tuple[Component, Challenge] | None:
    """The challenge and whose it is, expired or not, unless it is spent or forgotten."""
    owner = state.components.get(state.challenges.get(challenge_id, ""))
    found = next((one for one in owner.challenges if one.challenge_id == challenge_id), None) if owner else None
    return (owner, found) if owner and found else None


def with_engineer(state: State, engineer_id: str, engineer: Engineer) -> State:
    """There is this engineer now, in place of an earlier one of this id."""
    state = without_engineer(state, engineer_id)
    logins = state.logins.set(engineer.mark, engineer_id) if engineer.mark else state.logins
    cards = state.cards.set(engineer.card_mark, engineer_id) if engineer.card_mark else state.cards
    return _replace(state, engineers=state.engineers.set(engineer_id, engineer), logins=logins, cards=cards)


def without_engineer(state: State, engineer_id: str) -> State:
    """The engineer's login and card are free again."""
    engineer = state.engineers.get(engineer_id)
    if engineer is None:
        return state
    logins = _without(state.logins, [engineer.mark])
    cards = _without(state.cards, [engineer.card_mark or ""])
    return _replace(state, engineers=state.engineers.delete(engineer_id), logins=logins, cards=cards)


def with_component(state: State, new: Component) -> State:
    """There is this component now; whatever was open of an earlier one of this id is gone."""
    state = without_component(state, new.client_type, new.component_id)
    models = state.models.set(new.model_id, new.component_id) if new.model_id is not None else state.models
    return _replace(state, components=state.components.set(new.key, new), models=models)


def without_component(state: State, client_type: str, component_id: str) -> State:
    """The component is gone, and what was open of it."""
    old = component(state, client_type, component_id)
    if old is None:
        return state
    return _replace(
        state,
        components=state.components.delete(old.key),
        models=_without(state.models, [old.model_id or ""] if old.model_id is not None else []),
        challenges=_without(state.challenges, [one.challenge_id for one in old.challenges]),
        sessions=_without(state.sessions, [one.session_id for one in old.sessions]),
    )


def with_challenge(state: State, record: Mapping[str, Any]) -> State:
    """A challenge of ChallengeIssued is open; expired ones of its component are forgotten."""
    owner = component(state, record["client_type"], record["component_id"])
    if owner is None:
        return state
    given = (record[name] for name in ("challenge_id", "proof_sha256", "nonce", "expires_us"))
    kept = tuple(one for one in owner.challenges if one.expires_us > record["at_us"])
    gone = [one.challenge_id for one in owner.challenges if one.expires_us <= record["at_us"]]
    changed = msgspec.structs.replace(owner, challenges=(*kept, Challenge(*given)))
    challenges = _without(state.challenges, gone).set(record["challenge_id"], owner.key)
    return _replace(state, components=state.components.set(owner.key, changed), challenges=challenges)


def without_challenge(state: State, challenge_id: str) -> State:
    """A challenge is spent."""
    found = open_challenge(state, challenge_id)
    if found is None:
        return state
    owner, challenge = found
    changed = msgspec.structs.replace(owner, challenges=tuple(one for one in owner.challenges if one is not challenge))
    return _replace(
        state,
        components=state.components.set(owner.key, changed),
        challenges=state.challenges.delete(challenge_id),
    )


def with_session(state: State, record: Mapping[str, Any]) -> State:
    """A session of SessionOpened is open; expired ones of its component are forgotten."""
    owner = component(state, record["client_type"], record["component_id"])
    if owner is None:
        return state
    new = Session(record["session_id"], record["expires_us"])
    others = [one for one in owner.sessions if one.session_id != new.session_id]
    kept = tuple(one for one in others if one.expires_us > record["at_us"])
    gone = [one.session_id for one in others if one.expires_us <= record["at_us"]]
    changed = msgspec.structs.replace(owner, sessions=(*kept, new))
    sessions = _without(state.sessions, gone).set(new.session_id, owner.key)
    return _replace(state, components=state.components.set(owner.key, changed), sessions=sessions)


def with_renewed(state: State, session_id: str, expires_us: int) -> State:
    """A session lives on until then."""
    return _with_sessions(state, session_id, Session(session_id, expires_us))


def without_session(state: State, session_id: str) -> State:
    """A session has ended."""
    return _with_sessions(state, session_id, None)


def _with_sessions(state: State, session_id: str, changed: Session | None) -> State:
    owner = state.components.get(state.sessions.get(session_id, ""))
    if owner is None:
        return state
    told = (changed if one.session_id == session_id else one for one in owner.sessions)
    after = msgspec.structs.replace(owner, sessions=tuple(one for one in told if one is not None))
    sessions = state.sessions if changed else state.sessions.delete(session_id)
    return _replace(state, components=state.components.set(owner.key, after), sessions=sessions)


def _without(known: Map[str, str], keys: Iterable[str]) -> Map[str, str]:
    for key in keys:
        if key in known:
            known = known.delete(key)
    return known


def _replace(state: State, **changed: Any) -> State:
    return msgspec.structs.replace(state, **changed)
