"""The projector process: one thread for each live or standby version, started and ended as versions come and go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from producers.publisher import Publisher
from projections import migrations
from projections.projection import PositionGone, Projection, starts_of
from projections.read_model import ReadModel, Target
from projections.registry import READ_MODELS
from projections.store import ExtensionMissing, Fenced, Store, translated
from projections.store_models import Models, Version
from schemas.envelope import KeyRing
from schemas.errors import SensoriumError, TransientFailure
from streams.log_reader import LogReader, PositionLost, TopicPartition

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
STANDBY_S: Final = 0.5
SHORTEST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
_IS_LIVE: Final = "SELECT FROM sensorium.models WHERE schema_name = %s AND state = 'live'"


@dataclass(frozen=True, slots=True)
class Site:
    """What every runner of this process shares."""

    bootstrap: str
    database_url: str
    keyring: KeyRing
    instance: str
    publisher: Publisher
    read_models: Mapping[str, ReadModel]


def run(
    bootstrap: str,
    database_url: str,
    keyring: KeyRing,
    instance: str,
    stop_event: threading.Event,
    read_models: Mapping[str, ReadModel] = READ_MODELS,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Project the log into every live and standby version until `stop_event` is set; outages are waited out.

    `instance` names this process to Kafka and in logs; `on_ready` is called once every live version is being written.
    """
    publisher = Publisher(bootstrap, client_id=f"projector-{instance}", linger_ms=0)
    site = Site(bootstrap, database_url, keyring, instance, publisher, read_models)
    runners: dict[tuple[str, str], Runner] = {}
    wait = Backoff()
    try:
        while not stop_event.is_set():
            try:
                _prepare(site)
                with Models(database_url) as models:
                    models.listen()
                    wait.reset()
                    while not stop_event.is_set():
                        _reconcile(site, models.listing(), runners)
                        if on_ready and all(runner.writing.is_set() for runner in runners.values()):
                            on_ready()
                            on_ready = None
                        models.wait_for_change(LOOK_S if on_ready is None else SHORTEST_WAIT_S)
            except Exception as error:  # noqa: BLE001 - the process's outermost loop
                _log_outage("the projector waits", error)
                stop_event.wait(wait.next())
    finally:
        for runner in runners.values():
            runner.stop.set()
        for runner in runners.values():
            runner.thread.join()
        publisher.close()


class Backoff:
    """Waits that double, from 0.1 s to 5 s."""

    def __init__(self) -> None:
        self._wait = SHORTEST_WAIT_S

    def next(self) -> float:
        """How long to wait this time, in seconds."""
        wait, self._wait = self._wait, min(self._wait * 2, LONGEST_WAIT_S)
        return wait

    def reset(self) -> None:
        """It works again."""
        self._wait = SHORTEST_WAIT_S


class Runner:
    """A thread that keeps one version written while it has this state."""

    def __init__(self, site: Site, version: Version) -> None:
        self._site, self._version = site, version
        self._model = site.read_models[version.model]
        self.stop = threading.Event()
        self.writing = threading.Event()
        """Set once it has its checkpoint, or has given up and said why: nothing more is to be waited for."""
        self.thread = threading.Thread(target=self._run, name=version.schema, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        wait = Backoff()
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._session()
            except (PositionGone, PositionLost) as error:
                return self._give_up(error)
            except Exception as error:  # noqa: BLE001 - the thread's outermost loop
                _log_outage(self._version.schema, error)
                if time.monotonic() - began > LONGEST_WAIT_S:
                    wait.reset()
                self.stop.wait(wait.next())
        return None

    def _session(self) -> None:
        site, schema, state = self._site, self._version.schema, self._version.state
        with Models(site.database_url) as models:
            live = models.live(self._version.model)
        live_schema = live.schema if live and live.schema != schema else None
        store = Store(site.database_url, schema)
        try:
            if store.state()[0] != state:
                raise Fenced(f"{schema} is not {state} any more")
            with LogReader(site.bootstrap, f"projector-{site.instance}-{schema}") as reader:
                target = Target(schema, live_schema, site.keyring)
                projection = Projection(self._model, target, store=store, reader=reader, publisher=site.publisher)
                store.clear_problem()
                projection.resend_replies()
                log.info("%s goes on as %s", schema, state)
                self.writing.set()
                if live_schema:
                    self._shadow(projection, live_schema)
                else:
                    projection.follow(self.stop)
        finally:
            store.close()

    def _shadow(self, projection: Projection, live_schema: str) -> None:
        """Stay just behind the live version, so that it numbers new persons and a roll-back is never stale."""
        store = projection.store
        while not self.stop.is_set():
            if store.state()[0] != "standby" or not store.read(_IS_LIVE, live_schema):
                raise Fenced("another version is live now")
            live = store.checkpoints(live_schema)
            stops = {
                TopicPartition(*where): point.next_offset
                for where, point in live.items()
                if point.next_offset > projection.positions[TopicPartition(*where)]
            }
            if not stops:
                self.stop.wait(STANDBY_S)
            else:
                projection.advance_to({**projection.positions, **stops}, self.stop)

    def _give_up(self, error: SensoriumError) -> None:
        log.error("%s stops: %s", self._version.schema, error)
        self.writing.set()
        try:
            with Models(self._site.database_url) as models:
                models.set_problem(self._version.schema, str(error))
        except TransientFailure as outage:
            log.warning("%s: the problem could not be kept: %s", self._version.schema, outage)
        self.stop.wait()


def _prepare(site: Site) -> None:
    """Control schema and first versions."""
    with translated():
        migrations.up(site.database_url)
    with Models(site.database_url) as models, LogReader(site.bootstrap, f"projector-{site.instance}") as reader:
        for model in site.read_models.values():
            if models.live(model.name) is None:
                try:
                    models.ensure_live(model, starts_of(model, reader))
                except ExtensionMissing as missing:
                    log.error("%s", missing)  # noqa: TRY400 - a sentence for the operator


def _reconcile(site: Site, versions: list[Version], runners: dict[tuple[str, str], Runner]) -> None:
    wanted = {
        (version.schema, version.state): version
        for version in versions
        if version.state in ("live", "standby") and version.model in site.read_models
    }
    for key in runners.keys() - wanted.keys():
        runner = runners.pop(key)
        runner.stop.set()
        runner.thread.join()
    for key in wanted.keys() - runners.keys():
        runners[key] = Runner(site, wanted[key])


def _log_outage(who: str, error: Exception) -> None:
    if isinstance(error, TransientFailure | Fenced):
        log.warning("%s: %r", who, str(error))
    else:
        log.error("%s: %r", who, str(error), exc_info=error)
