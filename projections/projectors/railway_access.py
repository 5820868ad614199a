"""Read model `railway_access`: engineers, cards, robots, stores' terminals, their open challenges and their sessions.

Logins and password hashes are opened here; of challenges and tokens there are hashes only. Whose key is gone has no
row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.store import Transaction
from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent
from schemas.record import Record

log = logging.getLogger(__name__)

LOCKED: Final = "!"
"""A hash that no password has."""
KEPT_SESSIONS_US: Final = 30 * 86_400 * 1_000_000
"""So long after its end a session's row tells who was signed in."""
_PLACE: Final = "topic text NOT NULL, kafka_partition smallint NOT NULL, kafka_offset bigint NOT NULL"
_TABLES: Final = """
CREATE TABLE {s}.engineers (
    id         uuid PRIMARY KEY,
    login      varchar(60) NOT NULL UNIQUE,
    password   varchar(256) NOT NULL,        -- argon2id
    privileges integer NOT NULL,             -- bits: ROBOT_LOGIN 1, STORE_LOGIN 2, ROBOT_ADMIN 4
    created_at timestamptz NOT NULL,
    {place}
);
CREATE INDEX engineers_in_order ON {s}.engineers (created_at, id);
CREATE TABLE {s}.auth_cards (
    id          uuid PRIMARY KEY,
    engineer_id uuid NOT NULL UNIQUE,
    key         varchar(256) NOT NULL UNIQUE,  -- keyed hash
    created_at  timestamptz NOT NULL,
    {place}
);
CREATE TABLE {s}.robots (
    id               uuid PRIMARY KEY,
    robot_model_id   varchar(60) NOT NULL UNIQUE,
    robot_model_name varchar(60) NOT NULL,
    public_key       text NOT NULL,
    created_at       timestamptz NOT NULL,
    algorithm        text NOT NULL,
    engineer_id      uuid NOT NULL,
    {place}
);
CREATE INDEX robots_in_order ON {s}.robots (created_at, id);
CREATE TABLE {s}.active_stores (
    id          uuid PRIMARY KEY,
    public_key  text NOT NULL,
    created_at  timestamptz NOT NULL,
    algorithm   text NOT NULL,
    engineer_id uuid NOT NULL,
    {place}
);
CREATE TABLE {s}.component_challenges (
    challenge_id uuid PRIMARY KEY,
    client_type  text NOT NULL,
    component_id uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    {place}
);
CREATE INDEX challenges_of_component ON {s}.component_challenges (component_id);
CREATE INDEX challenges_expire ON {s}.component_challenges (expires_at);
CREATE TABLE {s}.component_sessions (
    session_id   uuid PRIMARY KEY,
    client_type  text NOT NULL,
    component_id uuid NOT NULL,
    token_sha256 text NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    end_reason   text,
    {place}
);
CREATE INDEX sessions_expire ON {s}.component_sessions (expires_at);
"""
_AT: Final = "'epoch'::timestamptz + %s * interval '1 microsecond'"
_NEW_ENGINEER: Final = f"INSERT INTO engineers VALUES (%s, %s, %s, 0, {_AT}, %s, %s, %s)"  # noqa: S608
_NEW_CARD: Final = f"INSERT INTO auth_cards VALUES (%s, %s, %s, {_AT}, %s, %s, %s)"  # noqa: S608
_NEW_ROBOT: Final = f"INSERT INTO robots VALUES (%s, %s, %s, %s, {_AT}, %s, %s, %s, %s, %s)"  # noqa: S608
_NEW_TERMINAL: Final = f"INSERT INTO active_stores VALUES (%s, %s, {_AT}, %s, %s, %s, %s, %s)"  # noqa: S608
_NEW_CHALLENGE: Final = f"INSERT INTO component_challenges VALUES (%s, %s, %s, {_AT}, {_AT}, %s, %s, %s)"  # noqa: S608
_NEW_SESSION: Final = f"INSERT INTO component_sessions VALUES (%s, %s, %s, %s, {_AT}, {_AT}, NULL, NULL, %s, %s, %s)"  # noqa: S608
_PRIVILEGES: Final = (
    "UPDATE engineers SET privileges = %s, topic = %s, kafka_partition = %s, kafka_offset = %s WHERE id = %s"
)
_NO_CARD: Final = "DELETE FROM auth_cards WHERE engineer_id = %s"
_NO_CHALLENGES: Final = "DELETE FROM component_challenges WHERE client_type = %s AND component_id = %s"
_OLD_SESSIONS: Final = (
    f"DELETE FROM component_sessions WHERE expires_at <= {_AT} OR session_id = %s OR token_sha256 = %s"  # noqa: S608
)
_OLD_CHALLENGES: Final = f"DELETE FROM component_challenges WHERE expires_at <= {_AT} OR challenge_id = %s"  # noqa: S608
_RENEW: Final = f"UPDATE component_sessions SET expires_at = {_AT} WHERE session_id = %s"  # noqa: S608
_END: Final = f"UPDATE component_sessions SET ended_at = {_AT}, end_reason = %s WHERE session_id = %s"  # noqa: S608

Statement = tuple[str, tuple[Any, ...]]
"""SQL and its parameters."""


@dataclass(slots=True)
class Prepared:
    """A batch: what to run, in order, and who waits for a command."""

    statements: list[Statement] = field(default_factory=list[Statement])
    settled: list[Record] = field(default_factory=list[Record])
    rows: int = 0

    def __bool__(self) -> bool:
        return bool(self.statements or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema, place=_PLACE)


class RailwayAccess:
    """Writes what was decided about access."""

    def __init__(self, target: Target) -> None:
        self._keyring = target.keyring

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Turn events into SQL. Raises InvalidEvent for an altered envelope, or an id that is no UUID."""
        prepared = Prepared()
        for event in events:
            if event.name == "CommandSettled":
                prepared.settled.append(event.record)
            elif statements := self._statements(event):
                prepared.statements += statements
                prepared.rows += 1
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Run the statements in their order."""
        for statement, parameters in prepared.statements:
            transaction.run(statement, *parameters)
        return Effects(replies=[Reply(record) for record in prepared.settled], rows=prepared.rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""

    def _statements(self, event: Event) -> Sequence[Statement]:
        if event.name == "EngineerCreated":
            return _engineer_created(event, self._keyring)
        change = _CHANGES.get(event.name)
        return change(event) if change else ()


def _engineer_created(event: Event, keyring: KeyRing | None) -> Sequence[Statement]:
    if keyring is None:
        raise ValueError("railway_access needs a key ring")
    engineer_id, details = _uuid(event, "engineer_id"), unseal(keyring, event.body["details"], "EngineerDetails")
    if isinstance(details, Forgotten) or not details["login"]:
        log.warning("%s: an engineer's key is gone, who has no row therefore", event.record.coordinates)
        return ()
    told = (details["login"], details["password_hash"] or LOCKED, event.body["at_us"])
    return (
        # The decider holds logins apart: whoever has it here is one whose key is gone.
        ("DELETE FROM engineers WHERE login = %s AND id <> %s", (details["login"], engineer_id)),
        (_NEW_ENGINEER, (engineer_id, *told, *_place(event))),
    )


def _engineer_removed(event: Event) -> Sequence[Statement]:
    engineer_id = _uuid(event, "engineer_id")
    return (_NO_CARD, (engineer_id,)), ("DELETE FROM engineers WHERE id = %s", (engineer_id,))


def _privileges_set(event: Event) -> Sequence[Statement]:
    return ((_PRIVILEGES, (event.body["privileges"], *_place(event), _uuid(event, "engineer_id"))),)


def _card_set(event: Event) -> Sequence[Statement]:
    engineer_id, mark = _uuid(event, "engineer_id"), event.body["card_mark"]
    taken = (_NO_CARD, (engineer_id,))
    if mark is None:
        return (taken,)
    return taken, (_NEW_CARD, (_uuid(event, "card_id"), engineer_id, mark, event.body["at_us"], *_place(event)))


def _robot_registered(event: Event) -> Sequence[Statement]:
    body = event.body
    told = (body["robot_model_id"], body["robot_model_name"], body["public_key"], body["at_us"], body["algorithm"])
    robot = (_uuid(event, "robot_id"), *told, _uuid(event, "engineer_id"), *_place(event))
    return ((_NEW_ROBOT, robot),)


def _robot_removed(event: Event) -> Sequence[Statement]:
    robot_id = _uuid(event, "robot_id")
    return (_NO_CHALLENGES, ("ROBOT", robot_id)), ("DELETE FROM robots WHERE id = %s", (robot_id,))


def _terminal_registered(event: Event) -> Sequence[Statement]:
    body = event.body
    told = (body["public_key"], body["at_us"], body["algorithm"], _uuid(event, "engineer_id"))
    new = (_NEW_TERMINAL, (_uuid(event, "store_id"), *told, *_place(event)))
    return (*_terminal_forgotten(event), new)


def _terminal_forgotten(event: Event) -> Sequence[Statement]:
    store_id = _uuid(event, "store_id")
    return (_NO_CHALLENGES, ("STORE", store_id)), ("DELETE FROM active_stores WHERE id = %s", (store_id,))


def _challenge_issued(event: Event) -> Sequence[Statement]:
    """Expired ones go: their time is the log's, so a replay agrees."""
    body = event.body
    told = (body["client_type"], _uuid(event, "component_id"), body["at_us"], body["expires_us"])
    new = (_uuid(event, "challenge_id"), *told, *_place(event))
    return (_OLD_CHALLENGES, (body["at_us"], new[0])), (_NEW_CHALLENGE, new)


def _challenge_answered(event: Event) -> Sequence[Statement]:
    return (("DELETE FROM component_challenges WHERE challenge_id = %s", (_uuid(event, "challenge_id"),)),)


def _session_opened(event: Event) -> Sequence[Statement]:
    body = event.body
    whose = (body["client_type"], _uuid(event, "component_id"), body["token_sha256"])
    new = (_uuid(event, "session_id"), *whose, body["at_us"], body["expires_us"], *_place(event))
    # An id, and with it a token, comes back under an Idempotency-Key that is used again after very long.
    return (_OLD_SESSIONS, (body["at_us"] - KEPT_SESSIONS_US, new[0], new[3])), (_NEW_SESSION, new)


def _session_renewed(event: Event) -> Sequence[Statement]:
    return ((_RENEW, (event.body["expires_us"], _uuid(event, "session_id"))),)


def _session_revoked(event: Event) -> Sequence[Statement]:
    return ((_END, (event.body["at_us"], event.body["reason"], _uuid(event, "session_id"))),)


_CHANGES: Final[Mapping[str, Callable[[Event], Sequence[Statement]]]] = {
    "EngineerRemoved": _engineer_removed,
    "EngineerPrivilegesSet": _privileges_set,
    "AuthCardSet": _card_set,
    "RobotRegistered": _robot_registered,
    "RobotRemoved": _robot_removed,
    "TerminalRegistered": _terminal_registered,
    "TerminalForgotten": _terminal_forgotten,
    "ChallengeIssued": _challenge_issued,
    "ChallengeAnswered": _challenge_answered,
    "SessionOpened": _session_opened,
    "SessionRenewed": _session_renewed,
    "SessionRevoked": _session_revoked,
}


def _uuid(event: Event, name: str) -> UUID:
    try:
        return UUID(event.body[name])
    except ValueError as error:
        raise InvalidEvent(f"{name} {event.body[name]!r} is not a UUID.") from error


def _place(event: Event) -> tuple[str, int, int]:
    return event.record.topic, event.record.partition, event.record.offset


_AND_PLACE: Final = ("topic", "kafka_partition", "kafka_offset")
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "engineers": ("id", "login", "password", "privileges", "created_at", *_AND_PLACE),
    "auth_cards": ("id", "engineer_id", "key", "created_at", *_AND_PLACE),
    "robots": (
        "id", "robot_model_id", "robot_model_name", "public_key", "created_at", "algorithm", "engineer_id",
        *_AND_PLACE,
    ),
    "active_stores": ("id", "public_key", "created_at", "algorithm", "engineer_id", *_AND_PLACE),
    "component_challenges": ("challenge_id", "client_type", "component_id", "created_at", "expires_at", *_AND_PLACE),
    "component_sessions": (
        "session_id", "client_type", "component_id", "token_sha256", "created_at", "expires_at", "ended_at",
        "end_reason", *_AND_PLACE,
    ),
}  # fmt: skip
READ_MODEL = ReadModel(
    name="railway_access",
    topics=("railway.events",),
    ddl=tables,
    views=_COLUMNS,
    projector=RailwayAccess,
    checksums={name: f"{', '.join(columns)} | {{s}}.{name}" for name, columns in _COLUMNS.items()},
    events=frozenset({"EngineerCreated", *_CHANGES}),
)
