"""Puts the sensor together from its settings, runs it, and takes it apart again."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import cv2

from edge_agents.emotion_sensor import ticks
from edge_agents.emotion_sensor.cameras import Camera, opener
from edge_agents.emotion_sensor.clock import WallMs, media_wall, real_wall
from edge_agents.emotion_sensor.csv_log import CsvLimits, CsvLog
from edge_agents.emotion_sensor.delivery import Delivery, ServerAddress
from edge_agents.emotion_sensor.demo import demo_source
from edge_agents.emotion_sensor.detection import FaceDetector
from edge_agents.emotion_sensor.errors import SensorError, SourceUnavailable
from edge_agents.emotion_sensor.expressions import ExpressionModel
from edge_agents.emotion_sensor.frame_sender import FrameSender
from edge_agents.emotion_sensor.keepers import BothKeepers, PointKeeper, TotalsKeeper
from edge_agents.emotion_sensor.model_store import model_file
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.recorder import HELD_IN_MEMORY, Recorder, RecorderRules
from edge_agents.emotion_sensor.sender import Sender
from edge_agents.emotion_sensor.sensor import Eyes, Keeper, Sensor
from edge_agents.emotion_sensor.settings import SensorSettings
from edge_agents.emotion_sensor.sources import Frame, Pictures, Playlist, Source, Video
from edge_agents.emotion_sensor.status import sentence
from edge_agents.emotion_sensor.storage import sole_sensor
from edge_agents.emotion_sensor.totals import LONGEST_LOOK_S, Totals, TotalsReporter
from edge_agents.emotion_sensor.tracking import TrackingRules

FIRST_STATUS_S, STATUS_EVERY_S = 10.0, 60.0
log = logging.getLogger(__name__)


def run(settings: SensorSettings, stop: threading.Event) -> None:
    """Sense until the source ends or `stop` is set. Raises SensorError when it cannot begin."""
    cv2.setNumThreads(1)  # more would double the processor time of a search and gain little
    source = source_of(settings)
    with sole_sensor(settings.directory), ExitStack() as stack:
        model = ExpressionModel(model_file(settings.directory / "models", settings.model))
        keeper = stack.enter_context(_keeper(settings))
        sensor = Sensor(Eyes(FaceDetector(), model), keeper, _wall(settings), _steady(settings))
        if settings.frames:
            sensor.live = stack.enter_context(_live(settings))
        log.info("Sensing as %r for %s; home %s.", settings.device_id, settings.server, settings.directory)
        stack.enter_context(_reporting(settings, sensor))
        tick = ticks.as_fast_as_possible if settings.as_fast_as_possible else ticks.real_time
        sensor.run(_stoppable(source.frames(tick(settings.fps, stop)), stop))


def source_of(settings: SensorSettings) -> Source:
    """The source that the settings name. Raises SourceUnavailable when none or an empty one is named."""
    if settings.camera is not None:
        return Camera(str(settings.camera), opener(settings.camera))
    if settings.video is not None and "://" in settings.video:
        return Camera(settings.video, opener(settings.video))
    if settings.video is not None:
        return Playlist([Video(settings.video)], loop=settings.loop)
    if settings.pictures is not None:
        if not settings.pictures.is_dir():
            raise SourceUnavailable(f"the folder {settings.pictures} does not exist")
        return Playlist([Pictures(sorted(settings.pictures.iterdir()), settings.seconds)], loop=settings.loop)
    if settings.demo:
        return demo_source(settings.media, settings.seconds)
    raise SourceUnavailable("nothing to look at: name --camera, --video, --pictures or --demo")


def open_outbox(settings: SensorSettings, *, check: bool = False, may_mend: bool = True) -> Outbox:
    """The outbox of this sensor; each thread has its own. Only the first one checks the whole file (seconds)."""
    return Outbox(settings.directory, int(settings.outbox_mb * 1e6), check=check, may_mend=may_mend)


def _wall(settings: SensorSettings) -> WallMs:
    return media_wall(time.time_ns() // 1_000_000) if settings.as_fast_as_possible else real_wall


def _steady(settings: SensorSettings) -> Callable[[Frame], float]:
    return (lambda frame: frame.moment_s) if settings.as_fast_as_possible else (lambda _: time.monotonic())


def _delivery(settings: SensorSettings) -> Delivery:
    return Delivery(ServerAddress(settings.server, settings.token, settings.gzip))


def _rules(settings: SensorSettings) -> TrackingRules:
    return TrackingRules(person_lost_s=settings.lost_after, track_lost_s=min(0.7, settings.lost_after))


@contextmanager
def _keeper(settings: SensorSettings) -> Generator[Keeper]:
    with ExitStack() as stack:
        points = stack.enter_context(_points(settings)) if settings.mode != "totals" else None
        totals = stack.enter_context(_totals(settings)) if settings.mode != "points" else None
        if points is not None and totals is not None:
            yield BothKeepers(points, totals)
        elif points is not None:
            yield points
        elif totals is not None:
            yield totals


@contextmanager
def _points(settings: SensorSettings) -> Generator[PointKeeper]:
    outbox = open_outbox(settings, check=True)
    _take_up(outbox)
    sender = Sender(partial(open_outbox, settings), _delivery(settings))
    rules = RecorderRules(settings.flush_points, settings.flush_seconds)
    csv = _csv(settings)
    sender.start()
    try:
        recorder = Recorder(outbox, csv, rules, sender.wake)
        yield PointKeeper(settings.device_id, outbox, recorder, _rules(settings))
    finally:
        sender.stop(settings.grace)
        if csv is not None:
            csv.close()
        log.info("Stopped. %s", _standing(outbox))
        outbox.close()


def _take_up(outbox: Outbox) -> None:
    """Finish what the last run left open. A full disk keeps nobody from sensing."""
    try:
        left = outbox.mending(outbox.finish_all)
    except (sqlite3.DatabaseError, SensorError) as error:
        text = "NOTHING CAN BE STORED now (%s). Sensing begins; at most %d points are held in memory until it can."
        log.critical(text, error, HELD_IN_MEMORY)
        return
    if left:
        log.warning("The last run was cut short: %d open visits are posted as far as they were seen.", left)
    log.info("%s", _standing(outbox))


def _standing(outbox: Outbox) -> str:
    try:
        outbox.follow()
        return sentence(outbox.backlog())
    except (sqlite3.DatabaseError, SensorError, OSError) as error:
        return f"The outbox cannot say how it stands: {error}."


def _csv(settings: SensorSettings) -> CsvLog | None:
    if settings.csv_mb <= 0:
        return None
    together = int(settings.csv_mb * 1e6)
    limits = CsvLimits(min(10_000_000, max(1, together // 4)), together, settings.csv_days * 86400)
    return CsvLog(settings.directory / "csv", settings.device_id, limits)


@contextmanager
def _totals(settings: SensorSettings) -> Generator[TotalsKeeper]:
    totals = Totals(settings.directory, check=settings.mode == "totals")  # the outbox has checked the same file
    opened = partial(Totals, settings.directory, check=False)
    reporter = TotalsReporter(settings.device_id, opened, _delivery(settings))
    reporter.start()
    try:
        # At a low frame rate looks are far apart by themselves.
        yield TotalsKeeper(totals, _rules(settings), max(LONGEST_LOOK_S, 2.5 / settings.fps))
    finally:
        reporter.stop(settings.grace)
        totals.close()


@contextmanager
def _live(settings: SensorSettings) -> Generator[FrameSender]:
    live = FrameSender(settings.device_id, _delivery(settings))
    live.start()
    try:
        yield live
    finally:
        live.stop()


@contextmanager
def _reporting(settings: SensorSettings, sensor: Sensor) -> Generator[None]:
    """Every minute one line on how things stand, from a thread that the camera does not wait for."""
    ended = threading.Event()

    def report() -> None:
        outbox = open_outbox(settings)
        pause = FIRST_STATUS_S
        while not ended.wait(pause):
            pause = STATUS_EVERY_S
            with suppress(sqlite3.DatabaseError, SensorError):
                outbox.follow()
                outbox.note_rate(sensor.meter.points_per_second)
            log.info("%.1f frames/s. %s", sensor.meter.frames_per_second, _standing(outbox))
        outbox.close()

    threading.Thread(target=report, name="status", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _stoppable(frames: Iterator[Frame], stop: threading.Event) -> Iterator[Frame]:
    """End between two frames, and let the source release what it holds."""
    for frame in frames:
        yield frame
        if stop.is_set():
            return
