"""The store: rows and checkpoint of a batch in one transaction, and only for who still owns the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import psycopg

from projections import store_arrays
from schemas.errors import SensoriumError, TransientFailure

Position = tuple[str, int]
"""(topic, partition)."""


class StoreDown(TransientFailure):
    """PostgreSQL is away, or gave up on a lock: the same batch is tried again after a while."""


class RefusedRows(SensoriumError):
    """PostgreSQL refuses the data itself: somewhere in the batch is an event that can never become rows."""


class KeyTaken(RefusedRows):
    """A row that was taken for new exists."""


class Fenced(SensoriumError):
    """Somebody else moved the checkpoint, or this version is no longer what it was: nothing was written."""


class ExtensionMissing(SensoriumError):
    """PostgreSQL lacks an extension that a read model needs."""

    def __init__(self, model: str, extension: str, why: str) -> None:
        names = {"vector": "pgvector"}
        super().__init__(
            f"The read model {model} needs PostgreSQL's extension {names.get(extension, extension)} in the schema"
            f" public, which cannot be had here ({why}). Install it and start the projector again; all other read"
            " models go on without it."
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a version has read one partition, and of which incarnation of the topic."""

    next_offset: int
    topic_id: str


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply as it goes out: key, value and headers of its message."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(slots=True)
class Progress:
    """What a batch changes about one partition's checkpoint."""

    next_offset: int
    replies: list[StoredReply] | None = None
    truncated_at: int | None = None


class Transaction:
    """What a projector may do: statements inside the batch's transaction, in its version's schema."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._cursor = connection.cursor()

    def run(self, statement: str, *parameters: Any) -> int:
        """Execute; return the number of rows it touched."""
        self._cursor.execute(cast("Any", statement), parameters or None)
        return self._cursor.rowcount

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute and fetch everything."""
        return self._cursor.execute(cast("Any", statement), parameters or None).fetchall()

    def copy(self, statement: str, payload: Iterable[bytes]) -> None:
        """COPY ... FROM STDIN with bytes that are already in the format the statement names."""
        with self._cursor.copy(cast("Any", statement)) as copy:
            for part in payload:
                copy.write(part)


class Store:
    """One version of one read model, on one connection of its own."""

    def __init__(self, database_url: str, schema: str, *, application: str = "projector") -> None:
        """Connect. Raises StoreDown when PostgreSQL does not answer."""
        self.schema = schema
        with translated():
            self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
                database_url, autocommit=True, connect_timeout=5, application_name=f"sensorium {application} {schema}"
            )
            store_arrays.register(self._connection)
            self._connection.execute(cast("Any", _SESSION.format(schema=schema)))

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def read(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Look something up outside a batch."""
        with translated():
            return self._connection.execute(cast("Any", statement), parameters or None).fetchall()

    def state(self) -> tuple[str, str]:
        """(state, phase) of this version. Raises Fenced when it is gone."""
        rows = self.read("SELECT state, phase FROM sensorium.models WHERE schema_name = %s", self.schema)
        if not rows:
            raise Fenced(f"{self.schema} does not exist any more")
        return rows[0][0], rows[0][1]

    def clear_problem(self) -> None:
        """Whatever had stopped this version is over."""
        with translated():
            self._connection.execute(
                "UPDATE sensorium.models SET problem = NULL WHERE schema_name = %s AND problem IS NOT NULL",
                (self.schema,),
            )

    def checkpoints(self, schema: str | None = None) -> dict[Position, Checkpoint]:
        """Where every partition goes on; of another version when `schema` is given."""
        return _parsed(self.read(_CHECKPOINTS, schema or self.schema))

    def pending_replies(self) -> list[StoredReply]:
        """Replies of the last batches, which a crash may have kept from being sent."""
        rows = self.read(
            "SELECT replies FROM sensorium.checkpoints WHERE schema_name = %s AND replies IS NOT NULL", self.schema
        )
        return [reply for (packed,) in rows for reply in msgspec.msgpack.decode(packed, type=list[StoredReply])]

    @contextmanager
    def batch(self, expected: Mapping[Position, Checkpoint], state: str) -> Generator[Batch, None, None]:
        """One transaction that starts by making sure that checkpoints and state are `expected`.

        Raises Fenced (nothing written), RefusedRows, KeyTaken or StoreDown; the transaction is then rolled back.
        """
        with translated(), self._connection.transaction():
            rows = self._connection.execute(cast("Any", _FENCE), (self.schema,)).fetchall()
            if {row[4] for row in rows} != {state} or _parsed(rows) != dict(expected):
                raise Fenced(f"{self.schema}: the checkpoint was moved by another projector, or its state changed")
            yield Batch(self._connection, self.schema)


class Batch(Transaction):
    """The transaction of one batch, with the right to move the checkpoint."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], schema: str) -> None:
        super().__init__(connection)
        self._schema = schema

    def advance(self, progress: Mapping[Position, Progress]) -> None:
        """Move the checkpoints; replies of the last batch give way to this one's."""
        items = [(position, progress[position]) for position in sorted(progress)]
        self.run(
            _ADVANCE,
            [topic for (topic, _), _ in items],
            [partition for (_, partition), _ in items],
            [step.next_offset for _, step in items],
            [msgspec.msgpack.encode(step.replies) if step.replies else None for _, step in items],
            [step.truncated_at for _, step in items],
            self._schema,
        )

    def notify(self, payload: str) -> None:
        """Tell the listeners of `sensorium_live`, at commit."""
        self.run("SELECT pg_notify('sensorium_live', %s)", payload)


@contextmanager
def translated() -> Generator[None, None, None]:
    """Turn the driver's errors into verdicts: data that can never be stored, or a server that is away."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise KeyTaken(_sentence(error)) from error
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise RefusedRows(_sentence(error)) from error
    except psycopg.errors.ProgramLimitExceeded as error:  # for example a key that is too long for its index
        raise RefusedRows(_sentence(error)) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        raise StoreDown(_sentence(error)) from error


def retrying(attempt: Callable[[], Any], times: int, wait: Callable[[float], object]) -> Any:
    """Call until it does not raise StoreDown (a lock timeout, say), at most `times`."""
    for turn in range(times - 1):
        try:
            return attempt()
        except StoreDown:
            wait(0.1 * 2 ** min(turn, 5))
    return attempt()


def _sentence(error: psycopg.Error) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _parsed(rows: Sequence[tuple[Any, ...]]) -> dict[Position, Checkpoint]:
    return {(row[0], row[1]): Checkpoint(row[2], row[3]) for row in rows}


# A lost commit takes rows and checkpoint with it and the log has both, so commits need not wait for the disk.
# A projector that is stopped in the middle of a transaction must not hold its locks for ever.
_SESSION: Final = """
SET search_path TO {schema};
SET synchronous_commit TO off;
SET idle_in_transaction_session_timeout TO '30s';
SET lock_timeout TO '20s';
SET timezone TO 'UTC';
"""
_CHECKPOINTS: Final = "SELECT topic, partition, next_offset, topic_id FROM sensorium.checkpoints WHERE schema_name = %s"
# The share lock makes a state that changed while this waited visible.
_FENCE: Final = """
SELECT c.topic, c.partition, c.next_offset, c.topic_id, m.state
FROM sensorium.checkpoints c JOIN sensorium.models m USING (schema_name)
WHERE c.schema_name = %s ORDER BY c.topic, c.partition FOR UPDATE OF c FOR SHARE OF m
"""
_ADVANCE: Final = """
UPDATE sensorium.checkpoints c
SET next_offset = n.next_offset, replies = n.replies, changed_at = now(),
    truncated_at = COALESCE(n.truncated_at, c.truncated_at)
FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bytea[], %s::bigint[])
     AS n(topic, partition, next_offset, replies, truncated_at)
WHERE c.schema_name = %s AND c.topic = n.topic AND c.partition = n.partition
"""
