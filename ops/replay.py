"""Builds a read model anew beside the live one: compare, switch, roll back, retire, or show the past."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from ops.errors import OperatorError
from producers.publisher import Publisher
from projections import checksum, migrations
from projections.feed import Limits
from projections.projection import Projection, starts_of
from projections.read_model import ReadModel, Target
from projections.registry import READ_MODELS
from projections.store import Checkpoint, Fenced, Store, retrying, translated
from projections.store_models import Models, Version
from schemas.envelope import KeyRing
from schemas.errors import TransientFailure
from schemas.topics import TOPICS
from streams.log_reader import LogReader, TopicPartition

Checksums = Mapping[str, Mapping[str, int]]
Positions = Mapping[TopicPartition, int]

BATCH: Final = Limits(records=8000, bytes=4 << 20)
CLOSE_ENOUGH: Final = 200
"""Events between the new version and the live one below which the rest is caught up while the live one waits."""
ATTEMPTS: Final = 30
REFUSED: Final = "The comparison with the live version found differences: the next replay drops this and builds anew."
KEY_MEMORY: Final = "SET maintenance_work_mem TO '512MB'; SET max_parallel_maintenance_workers TO 2"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the log and the read models are, and the keys of personal data."""

    bootstrap: str
    database_url: str
    keyring: KeyRing


class Report(Protocol):
    """Whoever shows the operator how it goes."""

    def phase(self, name: str, total: int) -> None:
        """A new phase begins; `total` is in offsets, 0 when it has none."""
        ...

    def advanced(self, rows: int, offsets: int) -> None:
        """So many rows more; so many offsets of the phase are done."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a replay."""

    schema: str
    finished: bool
    switched: bool
    rows: Mapping[str, int]
    differences: tuple[str, ...] = ()


class Stopped(Exception):
    """The operator asked to stop: the same command goes on from here."""


class Replay:
    """One build of one read model; every step can be broken off and is taken up again by the same command."""

    def __init__(self, servers: Servers, model: ReadModel, stop: threading.Event, report: Report) -> None:
        self._servers, self._model, self._stop, self._report = servers, model, stop, report

    def next_version(self, *, check: bool = False, accept_differences: bool = False) -> Outcome:
        """Build the next version, compare it with the live one and switch to it.

        `check` compares, switches nothing and drops what it built. Differences keep it from switching unless
        accepted; the next call then begins anew, since this build is what the code of now made.
        Raises OperatorError, TransientFailure, Stopped.
        """
        with self._models(self._model.name) as models:
            live = _live(models, self._model)
            version = self._unfinished(models) or self._begin(models, live)
            self._load(models, version, live)
            self._catch_up(models, version, live)
            differences = self._compare(models, version, live)
            if differences and not accept_differences:
                models.set_problem(version.schema, REFUSED)  # whatever becomes of it: it is not gone on with
            if check:
                models.drop(version.schema, keep_row=False)
            elif not differences or accept_differences:
                self._switch(models, version, live)
                return Outcome(version.schema, True, True, self._rows(models, version), tuple(differences))
            return Outcome(version.schema, True, False, {}, tuple(differences))

    def past(self, name: str, until_ms: int) -> Outcome:
        """Build a view of what was in the log up to `until_ms` (log append time), readable as `?as_of=name`."""
        _check_past(self._model)
        with self._models(f"{self._model.name}/{name}") as models:
            for version in models.listing(self._model.name):
                if version.as_of_name == name and (version.state == "as_of" or version.until_ms != until_ms):
                    raise OperatorError(
                        f"There is a view {name} of {self._model.name} already: choose another name, or drop it with"
                        f" `sensorium retire {self._model.name} --name {name}`."
                    )
            live = _live(models, self._model)
            found = models.building(self._model.name, name)
            version = found or self._begin(models, live, as_of=(name, until_ms))
            with LogReader(self._servers.bootstrap, "replay") as reader:
                stops = _offsets_at(self._model, reader, until_ms)
            self._load(models, version, live, stops)
            self._advance(version, live, stops)
            models.set_state(version.schema, "as_of", phase="done")
            return Outcome(version.schema, True, False, self._rows(models, version))

    def roll_back(self) -> Version:
        """Switch back to the newest standby version, brought to the position of the live one first."""
        with self._models(self._model.name) as models:
            live = _live(models, self._model)
            standby = [version for version in models.listing(self._model.name) if version.state == "standby"]
            if not standby:
                raise OperatorError(f"{self._model.name} has no version to roll back to: only {live.schema} is left.")
            self._switch(models, standby[-1], live)
            return standby[-1]

    def retire(self, name: str | None = None) -> list[str]:
        """Drop the standby versions and unfinished builds, or the view of the past `name`; return their schemas."""
        with self._models(self._model.name if name is None else f"{self._model.name}/{name}") as models:
            versions = models.listing(self._model.name)
            if name is None:
                chosen = [v for v in versions if v.as_of_name is None and _is_left_over(v)]
            else:
                chosen = [v for v in versions if v.as_of_name == name]
            if not chosen:
                what = f"view {name}" if name else "version besides the live one"
                raise OperatorError(f"{self._model.name} has no {what}.")
            for version in chosen:
                models.set_state(version.schema, "retired")  # from here on the projector lets go of it
                self._retrying(lambda v=version: models.drop(v.schema, keep_row=v.version is not None))
            return [version.schema for version in chosen]

    @contextmanager
    def _models(self, lock: str) -> Generator[Models]:
        with translated():
            migrations.up(self._servers.database_url)
        with Models(self._servers.database_url) as models:
            if not models.try_lock(f"replay/{lock}"):
                raise OperatorError(
                    f"Another replay, rollback or retire of {lock} is running: wait until it has ended."
                )
            yield models

    def _unfinished(self, models: Models) -> Version | None:
        """The build to go on with. One that the comparison refused is dropped: other code may build it otherwise."""
        version = models.building(self._model.name)
        if version is None or version.problem is None:
            return version
        self._report.phase(f"dropping {version.schema}, which differed, to build it anew", 0)
        self._retrying(lambda: models.drop(version.schema, keep_row=False))
        return None

    def _begin(self, models: Models, live: Version, as_of: tuple[str, int] | None = None) -> Version:
        with LogReader(self._servers.bootstrap, "replay") as reader:
            starts = starts_of(self._model, reader)
            stops = _offsets_at(self._model, reader, as_of[1]) if as_of else None
        for where, cut in models.truncations(live.schema).items():
            # Nothing before a truncation is left, so there is no need to read it.
            seen = stops is None or cut.next_offset < stops[TopicPartition(*where)]
            if where in starts and seen and cut.topic_id == starts[where].topic_id:
                starts[where] = Checkpoint(max(cut.next_offset, starts[where].next_offset), cut.topic_id)
        return models.create(self._model, starts, state="building", as_of=as_of)

    def _load(self, models: Models, version: Version, live: Version, stops: Positions | None = None) -> None:
        """Fill a fresh version without keys, make the keys, take what had been put aside."""
        bulk, phase = self._model.bulk, version.phase
        if bulk is None:
            return
        if phase == "loading":
            self._advance(version, live, stops or self._goal(models, version, live), loading=True)
            self._report.phase("building keys", 0)
            with translated(), models.transaction():
                models.run(KEY_MEMORY)
                models.run(bulk.make_keys(version.schema))
                models.set_phase(version.schema, "resolving")
            phase = "resolving"
        if phase == "resolving":
            self._report.phase("sorting out repeated points", 0)
            with self._projection(version, live) as projection:
                if not projection.resolve(self._stop):
                    raise Stopped
            with translated(), models.transaction():
                models.run(bulk.clean_up(version.schema))
                models.set_phase(version.schema, "following")

    def _catch_up(self, models: Models, version: Version, live: Version) -> None:
        while True:
            stops = self._goal(models, version, live)
            behind = sum(stops.values()) - sum(self._positions(models, version).values())
            self._advance(version, live, stops)
            if behind <= CLOSE_ENOUGH:
                return

    def _compare(self, models: Models, version: Version, live: Version) -> list[str]:
        """Both at the same position: the live one as one snapshot has it, the new one brought there."""
        self._report.phase("comparing with the live version", 0)
        if self._log_of(models, version) != self._log_of(models, live):
            self._advance(version, live, self._goal(models, version, live))
            return [f"{live.schema} has read a log that is gone, so there is nothing to compare with"]
        with Models(self._servers.database_url) as snapshot, translated(), snapshot.transaction():
            snapshot.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # First of all, since TRUNCATE empties tables for older snapshots too.
            snapshot.run(f"LOCK TABLE {self._tables(live)} IN ACCESS SHARE MODE")
            stops = self._positions(snapshot, live)
            shown = checksum(snapshot.connection, live.schema, self._model.name)
        self._advance(version, live, stops)
        with translated():
            built = checksum(models.connection, version.schema, self._model.name)
        return differences(shown, built)

    def _switch(self, models: Models, version: Version, live: Version) -> None:
        """Hold the live version, bring the other to the same position, exchange their roles and the views."""
        self._report.phase("switching", 0)

        def attempt() -> None:
            with translated(), models.transaction():
                models.lock_checkpoints(live.schema)
                self._advance(version, live, self._goal(models, version, live))
                models.set_state(live.schema, "standby")
                models.set_state(version.schema, "live")
                models.show(self._model, version.schema)

        self._retrying(attempt)

    def _advance(self, version: Version, live: Version, stops: Positions, *, loading: bool = False) -> None:
        start: Positions = {}
        for turn in range(ATTEMPTS):
            try:
                with self._projection(version, live, loading=loading) as projection:
                    start = start or projection.positions
                    left = {where: end for where, end in stops.items() if end > projection.positions[where]}
                    if not left:
                        return
                    self._report.phase("reading the log", sum(stops.values()) - sum(start.values()))
                    if not self._run(projection, {**projection.positions, **left}, sum(start.values())):
                        raise Stopped
                    return
            except (Fenced, TransientFailure):
                if turn == ATTEMPTS - 1 or self._stop.wait(min(0.1 * 2**turn, 3.0)):
                    raise

    def _run(self, projection: Projection, stops: Positions, start: int) -> bool:
        def on_batch(rows: int, positions: Positions) -> None:
            self._report.advanced(rows, sum(positions.values()) - start)

        return projection.advance_to(stops, self._stop, on_batch=on_batch, limits=BATCH)

    @contextmanager
    def _projection(self, version: Version, live: Version, *, loading: bool = False) -> Generator[Projection]:
        servers = self._servers
        target = Target(version.schema, live.schema, servers.keyring, loading=loading)
        publisher = Publisher(servers.bootstrap, client_id="replay")
        store = Store(servers.database_url, version.schema, application="replay")
        try:
            with LogReader(servers.bootstrap, f"replay-{version.schema}") as reader:
                yield Projection(self._model, target, store=store, reader=reader, publisher=publisher)
        finally:
            store.close()
            publisher.close()

    def _goal(self, models: Models, version: Version, live: Version) -> Positions:
        """Where the live version is, or the end of the log when the live one has read another log."""
        if self._log_of(models, version) == self._log_of(models, live):
            return self._positions(models, live)
        with LogReader(self._servers.bootstrap, "replay") as reader:
            return {
                TopicPartition(topic, partition): offset
                for topic in self._model.topics
                for partition, offset in reader.end_offsets(topic).items()
            }

    def _log_of(self, models: Models, version: Version) -> set[tuple[str, int, str]]:
        rows = models.run(
            "SELECT topic, partition, topic_id FROM sensorium.checkpoints WHERE schema_name = %s", version.schema
        )
        return {(topic, partition, topic_id) for topic, partition, topic_id in rows}

    def _positions(self, models: Models, version: Version) -> dict[TopicPartition, int]:
        rows = models.run(
            "SELECT topic, partition, next_offset FROM sensorium.checkpoints WHERE schema_name = %s", version.schema
        )
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}

    def _tables(self, version: Version) -> str:
        return ", ".join(f"{version.schema}.{table}" for table in self._model.checksums)

    def _rows(self, models: Models, version: Version) -> dict[str, int]:
        counts: dict[str, int] = {}
        for table in self._model.checksums:
            counts[table] = int(models.run(f"SELECT count(*) FROM {version.schema}.{table}")[0][0])  # noqa: S608
        return counts

    def _retrying(self, attempt: Callable[[], object]) -> None:
        """Readers may hold a lock for a while: try again."""
        retrying(attempt, ATTEMPTS, self._stop.wait)


def _check_past(model: ReadModel) -> None:
    """Refuse a past that would be wrong, and would show what was deleted for good."""
    for topic in READ_MODELS.get(model.name, model).topics:
        if topic in TOPICS and TOPICS[topic].cleanup == "compact":
            raise OperatorError(
                f"{model.name} has no past: {topic} keeps the newest of everything only, and what was deleted stays so."
            )


def _live(models: Models, model: ReadModel) -> Version:
    live = models.live(model.name)
    if live is None:
        raise OperatorError(
            f"{model.name} has no live version yet: the projector makes the first one when it starts (`sensorium up`)."
        )
    return live


def _is_left_over(version: Version) -> bool:
    """Whether `retire` drops it; a retired one that still has tables is one whose `retire` was killed."""
    return version.state in ("standby", "building") or (version.state == "retired" and version.phase != "done")


def _offsets_at(model: ReadModel, reader: LogReader, until_ms: int) -> dict[TopicPartition, int]:
    """Per partition the first offset appended after `until_ms`, else its end."""
    return {
        TopicPartition(topic, partition): offset
        for topic in model.topics
        for partition, offset in reader.offsets_for_time(topic, until_ms + 1).items()
    }


def differences(shown: Checksums, built: Checksums) -> list[str]:
    """Sentences about tables whose rows or checksums are not the same."""
    found: list[str] = []
    for table, live in shown.items():
        new = built[table]
        if new["rows"] != live["rows"]:
            found.append(f"{table}: {live['rows']} rows live, {new['rows']} rebuilt")
        elif new["checksum"] != live["checksum"]:
            found.append(f"{table}: {live['rows']} rows in both, but not the same")
    return found
