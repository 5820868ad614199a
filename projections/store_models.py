"""Versions of read models: made, listed, switched and dropped in the control tables; live ones are views in public."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import psycopg

from projections.read_model import ReadModel
from projections.store import Checkpoint, ExtensionMissing, Position, translated

FIRST_START_LOCK: Final = 5_361_002  # advisory lock: of two processes that start together one makes version 1


@dataclass(frozen=True, slots=True)
class Version:
    """A row of `sensorium.models`."""

    schema: str
    model: str
    version: int | None
    state: str
    phase: str
    as_of_name: str | None
    until_ms: int | None
    problem: str | None


class Models:
    """The control tables, on one connection. Every method is its own transaction unless `transaction` is open."""

    def __init__(self, database_url: str) -> None:
        """Connect. Raises StoreDown when PostgreSQL does not answer."""
        with translated():
            self.connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
                database_url, autocommit=True, connect_timeout=5, application_name="sensorium models"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def transaction(self) -> AbstractContextManager[psycopg.Transaction]:
        """Everything inside commits together."""
        return self.connection.transaction()

    def run(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Execute; rows, if it has any."""
        with translated():
            cursor = self.connection.execute(cast("Any", statement), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def listing(self, model: str | None = None) -> list[Version]:
        """All versions and views of the past, of one model or of all, oldest first."""
        rows = self.run(
            "SELECT schema_name, model, version, state, phase, as_of_name, until_ms, problem FROM sensorium.models"
            " WHERE model = COALESCE(%s, model) ORDER BY model, created_at, version",
            model,
        )
        return [Version(*row) for row in rows]

    def building(self, model: str, as_of_name: str | None = None) -> Version | None:
        """The unfinished next version, or the unfinished view of the past of that name."""
        unfinished = [version for version in self.listing(model) if version.state == "building"]
        return next((version for version in unfinished if version.as_of_name == as_of_name), None)

    def live(self, model: str) -> Version | None:
        """The version that the views show."""
        return next((version for version in self.listing(model) if version.state == "live"), None)

    def ensure_live(self, model: ReadModel, starts: Mapping[Position, Checkpoint]) -> Version:
        """Make version 1 and its views when the model has no live version yet."""
        with translated(), self.transaction():
            self.run("SELECT pg_advisory_xact_lock(%s)", FIRST_START_LOCK)
            version = self.live(model.name)
            if version is None:
                version = self.create(model, starts, state="live")
                self.show(model, version.schema)
        return version

    def create(
        self,
        model: ReadModel,
        starts: Mapping[Position, Checkpoint],
        *,
        state: str,
        as_of: tuple[str, int] | None = None,
    ) -> Version:
        """Make the schema, tables and checkpoints of the next version, or of a view of the past (name, until_ms).

        One that is `building` starts without the keys that a bulk load does better without.
        """
        loading = state == "building" and model.bulk is not None
        number = None if as_of else self._next_number(model.name)
        schema = f"{model.name}_at_{as_of[0]}" if as_of else f"{model.name}_v{number}"
        phase = "loading" if loading else "following"
        name, until_ms = as_of or (None, None)
        with translated(), self.transaction():
            if model.needs:
                self._extend(model.name, model.needs)
            self.run(f"CREATE SCHEMA {schema}")
            self.run(model.ddl(schema))
            if model.bulk and loading:
                self.run(model.bulk.drop_keys(schema))
            self.run(
                "INSERT INTO sensorium.models (schema_name, model, version, state, phase, as_of_name, until_ms)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                schema, model.name, number, state, phase, name, until_ms,
            )  # fmt: skip
            for (topic, partition), checkpoint in starts.items():
                self.run(
                    "INSERT INTO sensorium.checkpoints (schema_name, topic, partition, next_offset, topic_id)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    schema, topic, partition, checkpoint.next_offset, checkpoint.topic_id,
                )  # fmt: skip
            self.announce()
        return Version(schema, model.name, number, state, phase, name, until_ms, None)

    def show(self, model: ReadModel, schema: str) -> None:
        """Point the live views at a version; at most 2 s are spent waiting for readers (StoreDown, try again)."""
        with translated(), self.transaction():
            self.run("SET LOCAL lock_timeout TO '2s'")
            for name, columns in model.views.items():
                view = f"VIEW public.{name} AS SELECT {', '.join(columns)} FROM {schema}.{name}"  # noqa: S608 - own names
                try:
                    with self.transaction():
                        self.run(f"CREATE OR REPLACE {view}")
                except psycopg.errors.InvalidTableDefinition:  # other columns than before
                    self.run(f"DROP VIEW public.{name}")
                    self.run(f"CREATE {view}")
            # Open pages look again: everything may read differently now.
            self.run("SELECT pg_notify('sensorium_live', %s)", json.dumps({"model": model.name, "many": True}))

    def set_state(self, schema: str, state: str, *, phase: str | None = None) -> None:
        """Write a version's state and tell the projector."""
        self.run(
            "UPDATE sensorium.models SET state = %s, phase = COALESCE(%s, phase), problem = NULL, changed_at = now()"
            " WHERE schema_name = %s",
            state, phase, schema,
        )  # fmt: skip
        self.announce()

    def set_phase(self, schema: str, phase: str) -> None:
        """Write how far a build is."""
        self.run("UPDATE sensorium.models SET phase = %s, changed_at = now() WHERE schema_name = %s", phase, schema)

    def lock_checkpoints(self, schema: str) -> dict[Position, int]:
        """Hold a version where it is until the transaction ends; return its next offsets."""
        rows = self.run(
            "SELECT topic, partition, next_offset FROM sensorium.checkpoints WHERE schema_name = %s"
            " ORDER BY topic, partition FOR UPDATE",
            schema,
        )
        return {(topic, partition): offset for topic, partition, offset in rows}

    def truncations(self, schema: str) -> dict[Position, Checkpoint]:
        """Where the newest truncation of each partition stands in the log; nothing before it is left."""
        rows = self.run(
            "SELECT topic, partition, truncated_at, topic_id FROM sensorium.checkpoints"
            " WHERE schema_name = %s AND truncated_at IS NOT NULL",
            schema,
        )
        return {(topic, partition): Checkpoint(offset, topic_id) for topic, partition, offset, topic_id in rows}

    def try_lock(self, name: str) -> bool:
        """Take a lock that lasts as long as this connection; False when another process has it."""
        return bool(self.run("SELECT pg_try_advisory_lock(hashtextextended(%s, 5361))", f"sensorium/{name}")[0][0])

    def set_problem(self, schema: str, sentence: str) -> None:
        """Keep why a version's runner stopped."""
        self.run("UPDATE sensorium.models SET problem = %s WHERE schema_name = %s", sentence, schema)

    def drop(self, schema: str, *, keep_row: bool) -> None:
        """Drop a version's tables; `keep_row` leaves it listed as retired."""
        with translated(), self.transaction():
            self.run("SET LOCAL lock_timeout TO '5s'")
            self.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            if keep_row:
                self.run("DELETE FROM sensorium.checkpoints WHERE schema_name = %s", schema)
                self.set_state(schema, "retired", phase="done")
            else:
                self.run("DELETE FROM sensorium.models WHERE schema_name = %s", schema)
                self.announce()

    def announce(self) -> None:
        """Wake the projector: versions have changed."""
        self.run("SELECT pg_notify('sensorium_models', '')")

    def listen(self) -> None:
        """Hear what `announce` says."""
        self.run("LISTEN sensorium_models")

    def wait_for_change(self, timeout_s: float) -> None:
        """Return when versions have changed, or after the time."""
        with translated():
            for _ in self.connection.notifies(timeout=timeout_s, stop_after=1):
                pass

    def _extend(self, model: str, extension: str) -> None:
        """Make an extension unless it is there. Raises ExtensionMissing."""
        placed = "SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = %s"
        found = self.run(placed, extension)
        if not found:
            try:
                self.connection.execute(cast("Any", f"CREATE EXTENSION {extension} SCHEMA public"))
            except (psycopg.NotSupportedError, psycopg.ProgrammingError, psycopg.errors.UndefinedFile) as error:
                raise ExtensionMissing(model, extension, str(error).split("\n")[0]) from error
        elif found[0][0] != "public":
            raise ExtensionMissing(model, extension, f"it is in the schema {found[0][0]}")

    def _next_number(self, model: str) -> int:
        rows = self.run("SELECT COALESCE(max(version), 0) + 1 FROM sensorium.models WHERE model = %s", model)
        return int(rows[0][0])
