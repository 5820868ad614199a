"""Decider `access`: engineers and their cards, robots and stores' terminals, their challenges and sessions.

Logins stay sealed; the state holds marks of them. A challenge is good for one answer, whoever gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent
from streams import access_state
from streams.access_proofs import ALGORITHMS, RSA_OAEP, fingerprint, proves
from streams.access_state import ROBOT, STORE, Component, Engineer, State
from streams.decisions import Accepted, Command, Decide, Evolve, Fact, Refused
from streams.marks import mark_of, marks_of

__all__ = ["COMMANDS", "EVENTS", "KEY", "State", "announce", "decide", "decider", "evolve"]

KEY: Final = "access"
"""Key of every command and event of access."""
COMMANDS: Final[frozenset[str]] = frozenset({
    "CreateEngineer", "RemoveEngineer", "SetEngineerPrivileges", "SetAuthCard", "RegisterRobot", "RemoveRobot",
    "RegisterTerminal", "ForgetTerminal", "IssueChallenge", "AnswerChallenge", "RenewSession", "RevokeSession",
})  # fmt: skip
EVENTS: Final[frozenset[str]] = frozenset({
    "EngineerCreated", "EngineerRemoved", "EngineerPrivilegesSet", "AuthCardSet", "RobotRegistered", "RobotRemoved",
    "TerminalRegistered", "TerminalForgotten", "ChallengeIssued", "ChallengeAnswered", "SessionOpened",
    "SessionRenewed", "SessionRevoked",
})  # fmt: skip

LOGIN: Final = "engineer"
"""Kind of the marks of engineers' logins."""
ROBOT_LOGIN: Final = 1
STORE_LOGIN: Final = 2
OPEN_CHALLENGES: Final = 8
"""So many of one component may be open; the oldest goes."""
OPEN_SESSIONS: Final = 16
"""So many sessions of one component may live; the oldest ends."""
_NO_ENGINEER: Final = Refused("engineer_not_found", "Engineer not found")
_NO_SESSION: Final = Refused("session_not_found", "Session not found")


def decider(ring: KeyRing) -> tuple[Decide[State], Evolve[State]]:
    """Give (decide, evolve) that open envelopes with this ring."""
    return partial(decide, ring=ring), partial(evolve, ring=ring)


def decide(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    if command.name == "CreateEngineer":
        return _create(state, command, ring)
    rule = _RULES.get(command.name)
    if rule is None:
        raise InvalidEvent(f"{command.name} is no command for access.")
    return rule(state, command)


def evolve(state: State, name: str, record: Mapping[str, Any], ring: KeyRing) -> State:
    """Give the state after an event."""
    if name == "EngineerCreated":
        return access_state.with_engineer(state, record["engineer_id"], Engineer(_own_mark(record["details"], ring)))
    change = _CHANGES.get(name)
    return change(state, record) if change else state


def announce(_state: State, _name: str, _record: Mapping[str, Any]) -> Sequence[Fact]:
    """Nobody else has to be told."""
    return ()


def _create(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    record = command.record
    details = unseal(ring, record["details"], "EngineerDetails")
    if isinstance(details, Forgotten) or not details["login"]:
        return Refused("unreadable", "The engineer's login cannot be read: its key is gone")
    taken = any(mark in state.logins for mark in marks_of(details["login"], ring, LOGIN))
    if taken or record["engineer_id"] in state.engineers:
        return Refused("login_taken", "Engineer already exists")
    event = {name: record[name] for name in ("engineer_id", "details")} | _at(command)
    told = {"engineer_id": record["engineer_id"], "created_us": command.at_us}
    return Accepted((Fact("EngineerCreated", KEY, event),), told)


def _remove(state: State, command: Command) -> Accepted | Refused:
    """The card goes with its engineer; what the engineer registered stays."""
    if command.record["engineer_id"] not in state.engineers:
        return _NO_ENGINEER
    return Accepted((_fact("EngineerRemoved", command, "engineer_id"),))


def _set_privileges(state: State, command: Command) -> Accepted | Refused:
    engineer = state.engineers.get(command.record["engineer_id"])
    if engineer is None:
        return _NO_ENGINEER
    if engineer.privileges == command.record["privileges"]:
        return Accepted()
    return Accepted((_fact("EngineerPrivilegesSet", command, "engineer_id", "privileges"),))


def _set_card(state: State, command: Command) -> Accepted | Refused:
    engineer_id, mark = command.record["engineer_id"], command.record["card_mark"]
    engineer = state.engineers.get(engineer_id)
    if engineer is None:
        return _NO_ENGINEER
    if mark is not None and state.cards.get(mark, engineer_id) != engineer_id:
        return Refused("card_taken", "Card already belongs to another engineer")
    if engineer.card_mark == mark:
        return Accepted()
    return Accepted((_fact("AuthCardSet", command, "engineer_id", "card_id", "card_mark"),))


def _register_robot(state: State, command: Command) -> Accepted | Refused:
    """An earlier robot of this model id is gone, and its sessions."""
    record = command.record
    if not _may(state, command, ROBOT_LOGIN):
        return Refused("insufficient_privileges", "Insufficient privileges")
    earlier = (state.models.get(record["robot_model_id"]), record["robot_id"])
    facts: list[Fact] = []
    for robot_id in dict.fromkeys(one for one in earlier if one is not None):
        facts += _robot_gone(state, command, robot_id, "robot_replaced")
    told = ("robot_id", "engineer_id", "robot_model_id", "robot_model_name", "public_key", "algorithm")
    return Accepted((*facts, _fact("RobotRegistered", command, *told)), {"robot_id": record["robot_id"]})


def _remove_robot(state: State, command: Command) -> Accepted:
    return Accepted(tuple(_robot_gone(state, command, command.record["robot_id"], "robot_removed")))


def _register_terminal(state: State, command: Command) -> Accepted | Refused:
    """The earlier key is replaced, and its sessions end."""
    if not _may(state, command, STORE_LOGIN):
        return Refused("insufficient_privileges", "Insufficient privileges")
    store_id = command.record["store_id"]
    ended = _ended(access_state.component(state, STORE, store_id), command, "terminal_replaced")
    registered = _fact("TerminalRegistered", command, "store_id", "engineer_id", "public_key", "algorithm")
    return Accepted((*ended, registered), {"store_id": store_id})


def _forget_terminal(state: State, command: Command) -> Accepted:
    known = access_state.component(state, STORE, command.record["store_id"])
    if known is None:
        return Accepted()
    ended = _ended(known, command, "terminal_forgotten")
    return Accepted((*ended, _fact("TerminalForgotten", command, "store_id")))


def _issue(state: State, command: Command) -> Accepted:
    """Who does not exist gets no challenge; the answer says so to the server only, which hides it."""
    record = command.record
    owner = access_state.component(state, record["client_type"], record["component_id"])
    readable = owner is not None and (record["nonce"] is None) == (owner.algorithm == RSA_OAEP)
    if owner is None or not readable or record["challenge_id"] in state.challenges:
        return Accepted((), {"known": False})
    living = [one for one in owner.challenges if one.expires_us > command.at_us]
    pushed = [_answered(one.challenge_id, command, passed=False) for one in living[: 1 - OPEN_CHALLENGES]]
    told = ("challenge_id", "client_type", "component_id", "proof_sha256", "nonce")
    issued = {name: record[name] for name in told} | {"expires_us": _end(command)} | _at(command)
    known = {"known": True, "algorithm": owner.algorithm, "key_sha256": fingerprint(owner.public_key)}
    return Accepted((*pushed, Fact("ChallengeIssued", KEY, issued)), known)


def _answer(state: State, command: Command) -> Accepted:
    """One attempt: whatever the answer is, the challenge is spent."""
    record = command.record
    found = access_state.open_challenge(state, record["challenge_id"])
    if found is None:
        return Accepted((), {"opened": False})
    owner, challenge = found
    right = proves(owner, challenge, record["proof_sha256"], record["signature"])
    in_time = command.at_us < challenge.expires_us
    if not (right and in_time and record["client_type"] == owner.client_type):
        return Accepted((_answered(challenge.challenge_id, command, passed=False),), {"opened": False})
    living = [one.session_id for one in owner.sessions if one.expires_us > command.at_us]
    pushed = [_revoked(one, command, "too_many") for one in living[: 1 - OPEN_SESSIONS]]
    opened = {"component_id": owner.component_id, "expires_us": _end(command)}
    session = {name: record[name] for name in ("session_id", "client_type", "token_sha256")} | opened | _at(command)
    facts = (_answered(challenge.challenge_id, command, passed=True), *pushed, Fact("SessionOpened", KEY, session))
    return Accepted(facts, {"opened": True} | opened)


def _renew(state: State, command: Command) -> Accepted | Refused:
    """A session that has expired does not come back; none becomes shorter."""
    session = access_state.open_session(state, command.record["session_id"])
    if session is None or session.expires_us <= command.at_us:
        return _NO_SESSION
    if _end(command) <= session.expires_us:
        return Accepted()
    event = {"session_id": session.session_id, "expires_us": _end(command)} | _at(command)
    return Accepted((Fact("SessionRenewed", KEY, event),))


def _revoke(state: State, command: Command) -> Accepted | Refused:
    session = access_state.open_session(state, command.record["session_id"])
    if session is None or session.expires_us <= command.at_us:
        return _NO_SESSION
    return Accepted((_revoked(session.session_id, command, "revoked"),))


_RULES: Final[Mapping[str, Callable[[State, Command], Accepted | Refused]]] = {
    "RemoveEngineer": _remove, "SetEngineerPrivileges": _set_privileges, "SetAuthCard": _set_card,
    "RegisterRobot": _register_robot, "RemoveRobot": _remove_robot,
    "RegisterTerminal": _register_terminal, "ForgetTerminal": _forget_terminal,
    "IssueChallenge": _issue, "AnswerChallenge": _answer, "RenewSession": _renew, "RevokeSession": _revoke,
}  # fmt: skip


def _engineer_changed(state: State, record: Mapping[str, Any]) -> State:
    """Of EngineerPrivilegesSet and AuthCardSet: what the record names is new."""
    known = state.engineers.get(record["engineer_id"])
    if known is None:
        return state
    privileges = record.get("privileges", known.privileges)
    changed = Engineer(known.mark, privileges, record.get("card_mark", known.card_mark))
    return access_state.with_engineer(state, record["engineer_id"], changed)


def _robot_registered(state: State, record: Mapping[str, Any]) -> State:
    key = (record["robot_id"], record["public_key"], record["algorithm"])
    return access_state.with_component(state, Component(ROBOT, *key, record["robot_model_id"]))


def _terminal_registered(state: State, record: Mapping[str, Any]) -> State:
    key = (record["store_id"], record["public_key"], record["algorithm"])
    return access_state.with_component(state, Component(STORE, *key))


_CHANGES: Final[Mapping[str, Callable[[State, Mapping[str, Any]], State]]] = {
    "EngineerRemoved": lambda state, record: access_state.without_engineer(state, record["engineer_id"]),
    "EngineerPrivilegesSet": _engineer_changed,
    "AuthCardSet": _engineer_changed,
    "RobotRegistered": _robot_registered,
    "RobotRemoved": lambda state, record: access_state.without_component(state, ROBOT, record["robot_id"]),
    "TerminalRegistered": _terminal_registered,
    "TerminalForgotten": lambda state, record: access_state.without_component(state, STORE, record["store_id"]),
    "ChallengeIssued": access_state.with_challenge,
    "ChallengeAnswered": lambda state, record: access_state.without_challenge(state, record["challenge_id"]),
    "SessionOpened": access_state.with_session,
    "SessionRenewed": lambda state, record: access_state.with_renewed(
        state, record["session_id"], record["expires_us"]
    ),
    "SessionRevoked": lambda state, record: access_state.without_session(state, record["session_id"]),
}


def _may(state: State, command: Command, privilege: int) -> bool:
    if command.record["algorithm"] not in ALGORITHMS:
        raise InvalidEvent(f"{command.record['algorithm']!r} is no algorithm of keys.")
    engineer = state.engineers.get(command.record["engineer_id"])
    return engineer is not None and bool(engineer.privileges & privilege)


def _robot_gone(state: State, command: Command, robot_id: str, reason: str) -> list[Fact]:
    robot = access_state.component(state, ROBOT, robot_id)
    if robot is None:
        return []
    return [*_ended(robot, command, reason), Fact("RobotRemoved", KEY, {"robot_id": robot_id} | _at(command))]


def _ended(owner: Component | None, command: Command, reason: str) -> list[Fact]:
    living = [one for one in owner.sessions if one.expires_us > command.at_us] if owner else []
    return [_revoked(one.session_id, command, reason) for one in living]


def _revoked(session_id: str, command: Command, reason: str) -> Fact:
    return Fact("SessionRevoked", KEY, {"session_id": session_id, "reason": reason} | _at(command))


def _answered(challenge_id: str, command: Command, *, passed: bool) -> Fact:
    return Fact("ChallengeAnswered", KEY, {"challenge_id": challenge_id, "passed": passed} | _at(command))


def _fact(event: str, command: Command, *told: str) -> Fact:
    return Fact(event, KEY, {name: command.record[name] for name in told} | _at(command))


def _end(command: Command) -> int:
    return command.at_us + command.record["life_ms"] * 1000


def _at(command: Command) -> dict[str, Any]:
    return {"at_us": command.at_us, "by": command.record["by"]}


def _own_mark(details: Mapping[str, Any], ring: KeyRing) -> str:
    """Under the key that seals the login: a mark lives as long as its key."""
    opened = unseal(ring, details, "EngineerDetails")
    if isinstance(opened, Forgotten):
        return ""
    return mark_of(opened["login"] or "", ring.keys[details["key_id"]], LOGIN)
