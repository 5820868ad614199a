"""Read model `users`: who may sign in, in `sales_users`. Names and hashes are opened here; no key, no row."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
"""A hash that no password has: of who changed it with a key that is gone."""
_TABLES: Final = """
CREATE TABLE {s}.sales_users (
    user_id         uuid PRIMARY KEY,
    username        varchar(64) NOT NULL UNIQUE,
    password_hash   text NOT NULL,
    full_name       varchar(256) NOT NULL,
    is_admin        boolean NOT NULL,
    is_active       boolean NOT NULL,
    created_at      timestamptz NOT NULL,
    last_login_at   timestamptz,
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL
);
"""
_AT: Final = "'epoch'::timestamptz + %s * interval '1 microsecond'"
_CREATE: Final = f"""
INSERT INTO sales_users VALUES (%s, %s, %s, %s, %s, true, {_AT}, NULL, %s, %s, %s)
ON CONFLICT (user_id) DO NOTHING
"""  # noqa: S608 - made of constants
_CHANGE: Final = """
UPDATE sales_users SET is_admin = COALESCE(%s, is_admin), is_active = COALESCE(%s, is_active),
    full_name = COALESCE(%s, full_name), password_hash = COALESCE(%s, password_hash),
    topic = %s, kafka_partition = %s, kafka_offset = %s
WHERE user_id = %s
"""
_SIGN_IN: Final = f"UPDATE sales_users SET last_login_at = GREATEST(last_login_at, {_AT}) WHERE user_id = %s"  # noqa: S608


@dataclass(slots=True)
class Prepared:
    """A batch: changes with what their envelopes hold (None: none, or forgotten), and who waits for a command."""

    changes: list[tuple[Event, UUID, dict[str, Any] | Forgotten | None]] = field(
        default_factory=list[tuple[Event, UUID, dict[str, Any] | Forgotten | None]]
    )
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.changes or self.settled)


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema)


class Users:
    """Writes users."""

    def __init__(self, target: Target) -> None:
        self._keyring = target.keyring

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Open the envelopes. Raises InvalidEvent for an altered one, or an id that is no UUID."""
        prepared = Prepared()
        for event in events:
            if event.name == "CommandSettled":
                prepared.settled.append(event.record)
            else:
                prepared.changes.append((event, _uuid(event), _details(event, self._keyring)))
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Write the changes in their order."""
        for event, user_id, details in prepared.changes:
            _write(transaction, event, user_id, details)
        return Effects(replies=[Reply(record) for record in prepared.settled], rows=len(prepared.changes))

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def _write(transaction: Transaction, event: Event, user_id: UUID, details: dict[str, Any] | Forgotten | None) -> None:
    body, record = event.body, event.record
    place = (record.topic, record.partition, record.offset)
    match event.name:
        case "UserCreated" if isinstance(details, dict):
            # The decider holds names apart: whoever has it here is one whose key is gone.
            transaction.run(
                "DELETE FROM sales_users WHERE username = %s AND user_id <> %s", details["username"], user_id
            )
            names = (details["username"], details["password_hash"] or LOCKED, details["full_name"] or "")
            transaction.run(_CREATE, user_id, *names, body["is_admin"], body["at_us"], *place)
        case "UserCreated":
            log.warning("%s: the key of user %s is gone, who has no row therefore", record.coordinates, user_id)
        case "UserChanged":
            if isinstance(details, Forgotten):
                details = {"full_name": None, "password_hash": LOCKED}
            told = details or {"full_name": None, "password_hash": None}
            changes = (body["is_admin"], body["is_active"], told["full_name"], told["password_hash"])
            transaction.run(_CHANGE, *changes, *place, user_id)
        case "UserDeleted":
            transaction.run("DELETE FROM sales_users WHERE user_id = %s", user_id)
        case "UserSignedIn":
            transaction.run(_SIGN_IN, body["at_us"], user_id)
        case _:
            pass


def _details(event: Event, keyring: KeyRing | None) -> dict[str, Any] | Forgotten | None:
    sealed = event.body.get("details")
    if sealed is None:
        return None
    if keyring is None:
        raise ValueError("users needs a key ring")
    return unseal(keyring, sealed, "UserDetails")


def _uuid(event: Event) -> UUID:
    try:
        return UUID(event.body["user_id"])
    except ValueError as error:
        raise InvalidEvent(f"user_id {event.body['user_id']!r} is not a UUID.") from error


_COLUMNS: Final = (
    "user_id", "username", "password_hash", "full_name", "is_admin", "is_active", "created_at", "last_login_at",
    "topic", "kafka_partition", "kafka_offset",
)  # fmt: skip
READ_MODEL = ReadModel(
    name="users",
    topics=("users.events",),
    ddl=tables,
    views={"sales_users": _COLUMNS},
    projector=Users,
    checksums={"sales_users": f"{', '.join(_COLUMNS)} | {{s}}.sales_users"},
)
