"""The service: puts the parts together, keeps the schedule, watches its threads, and ends in good order."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import time as time_of_day
from datetime import tzinfo
from pathlib import Path
from typing import Any

from edge_agents.recorder.backoff import Backoff
from edge_agents.recorder.boots import Boots
from edge_agents.recorder.capture import Microphone
from edge_agents.recorder.chunk_file import Format
from edge_agents.recorder.clock import Clock, local
from edge_agents.recorder.cutter import Cutter, Gate, Run
from edge_agents.recorder.delivery import Connection, Server
from edge_agents.recorder.disk import Disk
from edge_agents.recorder.errors import RecorderError
from edge_agents.recorder.health import HealthServer
from edge_agents.recorder.janitor import EVERY_S, Janitor
from edge_agents.recorder.letters import Identifiers, Letters
from edge_agents.recorder.messenger import Messenger
from edge_agents.recorder.notify import Notifier
from edge_agents.recorder.recorder import Recorder
from edge_agents.recorder.reports import Drops, Silences
from edge_agents.recorder.resumable import Resumable
from edge_agents.recorder.rotation import Limits
from edge_agents.recorder.salvage import salvage
from edge_agents.recorder.schedule import Schedule, hh_mm
from edge_agents.recorder.settings import Settings, point_to_alsa
from edge_agents.recorder.sources import Sources, Wanted
from edge_agents.recorder.spool import Spool
from edge_agents.recorder.uploader import Uploader

log = logging.getLogger(__name__)
LOOK_S = 5.0
RECORDER_STOP_S, UPLOADER_STOP_S = 10.0, 15.0
# A fsync of a worn card or a request over a bad link takes long; a thread that moved on in this time is alive.
STUCK_S = {"recorder": 300.0, "uploader": 3600.0}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is exchanged in tests and in the demo.

    `until_sent`: record at any hour, and end when the file is over and everything is sent.
    """

    clock: Clock = field(default_factory=Clock)
    disk: Disk = field(default_factory=Disk)
    notifier: Notifier = field(default_factory=Notifier)
    sound: Callable[[], Microphone] | None = None
    until_sent: bool = False


class Agent:
    """One recorder. `run` returns when `stop` is set."""

    def __init__(self, settings: Settings, around: Surroundings | None = None) -> None:
        """Takes the spool for itself. Raises RecorderError, OSError."""
        self._settings = settings
        self._around = around or Surroundings()
        self.stop = threading.Event()
        self._schedule = Schedule(_time(settings.schedule_start), _time(settings.schedule_end))
        self._zone: tzinfo | None = zoneinfo.ZoneInfo(settings.site_timezone) if settings.site_timezone else None
        self._make_spool()
        self.recorder = self._make_recorder()
        self.uploader = self._make_uploader()
        self.health: HealthServer | None = None
        self._seen_alive: dict[str, tuple[int, float]] = {}

    def run(self) -> None:
        """Until `stop` is set. Raises RecorderError when the health port is taken."""
        settings = self._settings
        extra = {"point_id": settings.point_id, "schedule": str(self._schedule), "chunk_s": settings.chunk_seconds}
        extra |= {"bitrate": settings.opus_bitrate_kbps, "spool": str(settings.spool_dir)}
        log.info("service_starting", extra=extra)
        if settings.health_port:
            self.health = HealthServer(settings.health_port, self.state)
            log.info("healthcheck_started", extra={"port": self.health.port})
        threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in self._work()]
        for thread in threads:
            thread.start()
        try:
            self._keep(threads)
        finally:
            self._end(threads)

    def state(self) -> dict[str, Any]:
        """What the health page shows."""
        totals = self.uploader.totals
        files = [file for file in self._spool.kept() if file.path.suffix == ".ogg"]
        return {
            "status": "ok",
            "recording": self.recorder.wanted.is_set() and not self.recorder.finished.is_set(),
            "in_schedule": self._in_schedule(),
            "queue_size": len(self._spool.pending()),
            "uploaded_total": totals.uploaded,
            "upload_errors_total": totals.errors,
            "last_upload_ts": totals.last_upload_s,
            "spool_files": len(files),
            "spool_bytes": sum(file.size for file in files),
            "point_id": self._settings.point_id,
        }

    def _make_spool(self) -> None:
        settings, around = self._settings, self._around
        self._spool = Spool(settings.spool_dir, settings.outbox, around.disk)
        self._lock = _sole(settings.spool_dir)
        state = self._spool.state
        self._boots = Boots(state / "boots.json", around.clock, around.disk, self._zone)
        self._drops = Drops(state / "drops.jsonl", around.disk)
        self._silences = Silences(state / "silences.jsonl", around.disk)
        limits = Limits(settings.max_spool_days, round(settings.max_spool_gb * (1 << 30)), settings.min_free_mb << 20)
        self._janitor = Janitor(self._spool, self._boots, self._drops, limits, self._zone)
        self._spool.on_full = self._janitor.make_room
        _, unreadable = salvage(self._spool)
        self._janitor.unreadable(unreadable)

    def _make_recorder(self) -> Recorder:
        settings, around = self._settings, self._around
        point_to_alsa()
        gate = None
        if settings.upload_speech_only:
            gate = Gate(self._silences, settings.speech_aggressiveness, settings.speech_padding_s)
        made = Format(settings.sample_rate, settings.opus_bitrate_kbps, settings.chunk_seconds)
        run = Run(self._spool.next_run(), around.clock, self._zone)
        cutter = Cutter(self._spool, self._boots, run, made, gate)
        wanted = Wanted(settings.audio_device, settings.sample_rate, settings.capture, settings.loop, settings.speed)
        return Recorder(Sources(wanted, around.clock.steady_us, around.sound), cutter, self.stop)

    def _make_uploader(self) -> Uploader:
        settings = self._settings
        who = Identifiers(settings.point_id, settings.register_id, settings.device_id)
        letters = Letters(who, self._boots, self._zone, settings.sample_rate, settings.chunk_seconds)
        connection = Connection(Server(settings.ingest_base_url, settings.ingest_token, settings.timeout_s))
        return Uploader(
            spool=self._spool,
            boots=self._boots,
            letters=letters,
            connection=connection,
            resumable=Resumable(connection, self._spool.state / "uploads.json", self._around.disk),
            messenger=Messenger(letters, connection, self._drops, self._silences, time.monotonic),
            backoff=Backoff(settings.retry_min_s, settings.retry_max_s),
            stop=self.stop,
            wait=self.stop.wait,
            idle=self._spool.wait_for_more,
            resumable_from=settings.resumable_from_kb << 10,
        )

    def _work(self) -> list[tuple[str, Callable[[], None]]]:
        return [("recorder", self.recorder.run), ("uploader", self.uploader.run), ("spool-janitor", self._tidy)]

    def _tidy(self) -> None:
        while True:
            try:
                self._janitor.clean()
            except Exception:
                # The outermost loop of this thread: it tries again in five minutes.
                log.exception("spool_cleanup_error")
            if self.stop.wait(EVERY_S):
                return

    def _keep(self, threads: list[threading.Thread]) -> None:
        notifier = self._around.notifier
        pause = min(LOOK_S, notifier.watchdog_s / 4) if notifier.watchdog_s else LOOK_S
        self._follow_schedule()
        notifier.ready("recording" if self.recorder.wanted.is_set() else "waiting for the schedule")
        while not self.stop.wait(0.2 if self._around.until_sent else pause):
            self._boots.anchor_us()
            self._follow_schedule()
            if self._all_alive(threads):
                notifier.alive("recording" if self.recorder.wanted.is_set() else "waiting for the schedule")
            if self._around.until_sent and self._all_sent():
                return

    def _follow_schedule(self) -> None:
        wanted = self.recorder.wanted
        inside = self._in_schedule()
        if inside and not wanted.is_set():
            log.info("schedule_recording_start")
            wanted.set()
        elif not inside and wanted.is_set():
            log.info("schedule_recording_stop")
            wanted.clear()

    def _in_schedule(self) -> bool:
        if self._around.until_sent:
            return True
        return self._schedule.covers(local(self._around.clock.wall_us(), self._zone))

    def _all_alive(self, threads: list[threading.Thread]) -> bool:
        # A dead or stuck thread leaves systemd's watchdog without a sign, and systemd starts the agent anew.
        now, alive = time.monotonic(), True
        for name, rounds in (("recorder", self.recorder.alive), ("uploader", self.uploader.alive)):
            before = self._seen_alive.get(name, (-1, now))
            if before[0] != rounds:
                before = self._seen_alive[name] = (rounds, now)
            if now - before[1] > STUCK_S[name]:
                log.error("thread_stuck", extra={"thread": name})
                alive = False
        ended = [thread.name for thread in threads if not thread.is_alive()]
        if ended and not self.recorder.finished.is_set():
            log.error("thread_ended", extra={"threads": ended})
            alive = False
        return alive

    def _all_sent(self) -> bool:
        self.uploader.messenger.urgent = self.recorder.finished.is_set()
        nothing_left = not self._spool.pending() and not self._drops.rows() and not self._silences.rows()
        return self.recorder.finished.is_set() and nothing_left and self._spool.in_flight is None

    def _end(self, threads: list[threading.Thread]) -> None:
        log.info("service_stopping")
        self._around.notifier.stopping()
        self.stop.set()
        self._spool.fresh.set()
        for thread in threads:
            thread.join({"recorder": RECORDER_STOP_S, "uploader": UPLOADER_STOP_S}.get(thread.name, 1.0))
        self.uploader.connection.close()
        if self.health:
            self.health.close()
        os.close(self._lock)
        log.info("service_stopped")


def _time(text: str) -> time_of_day:
    found = hh_mm(text)
    if found is None:
        raise RecorderError(f"{text!r} is no time of day")
    return found


def _sole(folder: Path) -> int:
    """Hold the spool's lock; it goes with the process. Raises RecorderError when another recorder has it."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise RecorderError(f"another recorder works with the spool {folder}") from None
    return descriptor
