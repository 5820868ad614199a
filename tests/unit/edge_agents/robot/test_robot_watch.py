"""Watching: windows without gaps, a model in a process of its own, reports that are kept, faces that are sent once."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.sources import Frame
from edge_agents.robot.connection import Connection, Patience
from edge_agents.robot.deviance import ROUTE, Deviance, Gathered, Place, gather
from edge_agents.robot.faces import Faces, FaceWatch
from edge_agents.robot.pictures import Picture
from edge_agents.robot.reports import UNSTORED, Courier, open_reports
from edge_agents.robot.scoring import FlowScorer, OnnxScorer, ScoringFailed, ScoringProcess, Wanted
from edge_agents.robot.video import Eye, Shot, Stills
from edge_agents.robot.watch import GivenToken, Watch
from tests.drivers.pictures import drawn_face
from tests.drivers.robot_desk import Desk, settings_at
from tests.drivers.waiting import until

NOON_US = 1_772_366_400_000_000
WANTED = Wanted("m", 4, 100, 75)


class Film:
    """Frames at given moments (ms), then nothing more."""

    def __init__(self, moments: Sequence[int], picture: Picture | None = None) -> None:
        self._picture = np.zeros((480, 640, 3), np.uint8) if picture is None else picture
        self._moments = list(moments)

    async def next(self) -> Shot:
        if not self._moments:
            await asyncio.Event().wait()
        return Shot(self._picture, 1, NOON_US + 1000 * self._moments.pop(0))


def moving(wildly: bool, frames: int = 8) -> Picture:
    random = np.random.default_rng(1)
    ground = cv2.GaussianBlur(random.integers(0, 255, (75, 140, 3), np.uint8), (0, 0), 2)
    steps = random.integers(0, 12, frames) if wildly else range(frames)
    return np.stack([ground[:, step : step + 100] for step in steps])


async def test_a_window_has_no_gaps_and_no_frames_too_close() -> None:
    gathered = await gather(Film([0, 30, 5_000, 5_030, 5_035, 5_060, 5_090, 5_120]), WANTED)
    assert (gathered.start_us, gathered.end_us) == (NOON_US + 5_000_000, NOON_US + 5_090_000)
    assert gathered.window.shape == (4, 75, 100, 3)
    assert gathered.key.shape == (480, 640, 3)


def test_a_clock_that_is_set_back_begins_a_window_anew() -> None:
    gathered = asyncio.run(gather(Film([9_000, 9_030, 0, 30, 60, 90]), WANTED))
    assert gathered.start_us == NOON_US


def test_wild_moves_score_more_than_steady_ones_and_a_still_picture_nothing() -> None:
    scorer = FlowScorer(8)
    still = scorer.score(np.stack([moving(wildly=False)[0]] * 8))
    steady, wild = scorer.score(moving(wildly=False)), scorer.score(moving(wildly=True))
    assert still < 0.01
    assert still <= steady < wild <= 1
    assert FlowScorer(1).score(np.zeros((1, 75, 100, 3), np.uint8)) == 0.0


def net(path: Path, last: str = "Abs", answers: int = 1) -> Path:
    """A model whose logit is this function of the largest value of a clip."""
    onnx = pytest.importorskip("onnx")
    info = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("ReduceMax", ["clip"], ["most"], axes=[1, 2, 3, 4], keepdims=0),
        onnx.helper.make_node(last, ["most"], ["last"]),
        onnx.helper.make_node("Expand", ["last", "shape"], ["logit"]),
    ]
    shape = onnx.numpy_helper.from_array(np.array([1, answers], np.int64), "shape")
    graph = onnx.helper.make_graph(
        nodes, "g", [info("clip", 1, [1, 3, 3, 20, 30])], [info("logit", 1, [1, answers])], [shape]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_onnx_model_sees_channels_first_from_0_to_1(tmp_path: Path) -> None:
    scorer = OnnxScorer(net(tmp_path / "net.onnx"), 40)
    assert scorer.wanted == Wanted("net", 3, 30, 20)
    white = np.full((3, 20, 30, 3), 255, np.uint8)
    assert scorer.score(white) == pytest.approx(1 / (1 + np.exp(-1)))


@pytest.mark.parametrize(("last", "answers"), [("Log", 1), ("Abs", 2)])
def test_an_answer_that_is_not_one_number_is_no_score(tmp_path: Path, last: str, answers: int) -> None:
    black = np.zeros((3, 20, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="not one number"):
        OnnxScorer(net(tmp_path / "net.onnx", last, answers), 40).score(black)


async def test_the_model_works_in_a_process_of_its_own_and_is_begun_again() -> None:
    scoring = ScoringProcess(None, 8)
    with pytest.raises(ScoringFailed):
        await scoring.score(moving(wildly=True))
    wanted = await scoring.start()
    assert (wanted.frames, wanted.width, wanted.height) == (8, 100, 75)
    assert await scoring.score(moving(wildly=True)) == pytest.approx(FlowScorer(8).score(moving(wildly=True)))
    scoring._process.kill()
    with pytest.raises(ScoringFailed, match="died"):
        await scoring.score(moving(wildly=True))
    broken = ScoringProcess(Path("no-such.onnx"), 8)
    with pytest.raises(ScoringFailed):
        await broken.start()
    scoring.stop()


def test_what_a_report_says() -> None:
    kept: list[Any] = []
    who = [{"bbox": [1, 2, 3, 4], "track_id": 1, "user_id": None}]
    place = Place("cam-1", "Door", "wagon 5")
    looking = Deviance(Film([]), ScoringProcess(None, 4), place, lambda *told: kept.append(told), lambda _: who, 0.5)
    seen = Gathered(np.zeros((4, 75, 100, 3), np.uint8), np.asarray(drawn_face(), np.uint8), NOON_US, NOON_US + 90_000)
    calm, wild = looking.report("m", 0.4999, seen), looking.report("m", 0.5, seen)
    assert (calm["frame"], calm["participants"]) == (None, [])
    assert wild["participants"] == who
    assert isinstance(wild["frame"], str)
    names = ("camera_id", "camera", "location", "score", "model")
    assert [wild[name] for name in names] == ["cam-1", "Door", "wagon 5", 0.5, "m"]
    moments = [datetime.fromisoformat(wild[name]) for name in ("start", "end")]
    assert (moments[1] - moments[0]).total_seconds() == pytest.approx(0.09)


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    made.tokens.add("t")
    return made


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with httpx.AsyncClient(transport=desk) as http:
        yield Connection(http, Patience(0.2, 0.2, 0.05, 0.1))


def courier(home: Path, connection: Connection, token: str = "t") -> Courier:
    return Courier(open_reports(home, 1.0), connection, GivenToken(token), "http://t", Backoff(0.01, 0.02))


async def test_reports_wait_on_disk_until_the_server_has_them(
    desk: Desk, connection: Connection, tmp_path: Path
) -> None:
    desk.down = True
    first = courier(tmp_path, connection)
    for number in range(3):
        first.keep(f"r{number}", ROUTE, {"score": number})
    assert await first.step()
    first.reports.close()
    again = courier(tmp_path, connection)
    assert again.reports.backlog().posts == 3
    desk.down = False
    desk.lose = lambda _: desk.calls[f"POST {ROUTE}"] == 1
    running = asyncio.ensure_future(again.run())
    await until(lambda: again.reports.backlog().posts == 0)
    assert list(desk.reports) == ["r0", "r1", "r2"]
    assert desk.calls[f"POST {ROUTE}"] == 4
    again.keep("r3", ROUTE, {"score": 3})
    await until(lambda: "r3" in desk.reports)
    running.cancel()
    again.reports.close()


@pytest.mark.parametrize(("status", "waits"), [(422, False), (413, False), (401, True), (404, True), (503, True)])
async def test_only_a_refusal_of_the_report_itself_sets_it_aside(
    desk: Desk, connection: Connection, tmp_path: Path, status: int, waits: bool
) -> None:
    desk.busy[ROUTE] = status
    one = courier(tmp_path, connection)
    one.keep("r", ROUTE, {"score": 1})
    pause = await one.step()
    backlog = one.reports.backlog()
    assert (backlog.posts, backlog.refused) == ((1, 0) if waits else (0, 1))
    assert bool(pause) == waits
    one.reports.close()


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(b"[1]", mtime=0), b"\x1f\x8b"])
async def test_a_stored_report_that_cannot_be_read_is_set_aside_and_the_next_one_goes(
    desk: Desk, connection: Connection, tmp_path: Path, body: bytes
) -> None:
    one = courier(tmp_path, connection)
    for number in range(2):
        one.keep(f"r{number}", ROUTE, {"score": number})
    one.reports._db.execute("UPDATE posts SET body = ? WHERE post_id = 1", (body,))
    assert (await one.step(), await one.step(), await one.step()) == (0.0, 0.0, None)
    assert (one.reports.backlog().refused, list(desk.reports)) == (1, ["r1"])
    one.reports.close()


async def test_on_a_full_disk_each_report_is_sent_once_and_deleted_later(
    desk: Desk, connection: Connection, tmp_path: Path
) -> None:
    one = courier(tmp_path, connection)
    for number in range(4):
        one.keep(f"r{number}", ROUTE, {"score": number})
    one.reports._db.execute("UPDATE posts SET body = ? WHERE post_id = 1", (b"",))
    one.reports._db.execute("PRAGMA query_only = ON")  # nothing can be written, as with a full disk
    assert [await one.step() for _ in range(4)] == [0.0, 0.0, 0.0, 0.0]
    assert await one.step() is None
    assert (list(desk.reports), desk.calls[f"POST {ROUTE}"]) == (["r1", "r2", "r3"], 3)
    assert one.reports.backlog().posts == 4
    one.reports._db.execute("PRAGMA query_only = OFF")
    one.keep("r4", ROUTE, {"score": 4})
    assert await one.step() == 0.0
    backlog = one.reports.backlog()
    assert (backlog.posts, backlog.refused, desk.calls[f"POST {ROUTE}"]) == (0, 1, 4)
    one.reports.close()


async def test_what_the_disk_does_not_take_is_sent_from_memory_the_newest_few(
    desk: Desk, connection: Connection, tmp_path: Path
) -> None:
    one = courier(tmp_path, connection)
    one.keep("stored", ROUTE, {"score": 0})
    one.reports._db.execute("PRAGMA query_only = ON")
    for number in range(UNSTORED + 2):
        one.keep(f"r{number}", ROUTE, {"score": number})
    desk.down = True
    assert await one.step()
    desk.down = False
    desk.lose = lambda _: desk.calls[f"POST {ROUTE}"] == 2
    while await one.step() is not None:
        pass
    assert list(desk.reports) == ["stored", *(f"r{number}" for number in range(2, UNSTORED + 2))]
    desk.busy[ROUTE] = 422
    one.keep("refused", ROUTE, {"score": 1})
    assert (await one.step(), await one.step()) == (0.0, None)
    one.reports.close()


async def test_beyond_the_limit_the_oldest_reports_go(connection: Connection, tmp_path: Path) -> None:
    one = courier(tmp_path, connection)
    noise = np.random.default_rng(1)
    for number in range(8):
        one.keep(f"r{number}", ROUTE, {"frame": noise.bytes(150_000).hex()})
    backlog = one.reports.backlog()
    assert backlog.used <= 1_000_000
    assert backlog.dropped_points + backlog.posts == 8
    newest = one.reports._db.execute("SELECT body FROM posts ORDER BY post_id DESC LIMIT 1").fetchone()[0]
    assert json.loads(gzip.decompress(newest))["id"] == "r7"
    one.reports.close()


def test_somebody_who_stays_is_sent_again_later_and_a_flash_never() -> None:
    watch, here, there = FaceWatch(), Box(100, 100, 200, 200), Box(400, 100, 500, 200)
    assert not watch.worth_sending(0.0, [here])
    assert watch.worth_sending(0.5, [here])
    assert not watch.worth_sending(1.0, [here, there])
    assert watch.worth_sending(1.5, [here, there])
    sent = [watch.worth_sending(2.0 + half / 2, [here, there]) for half in range(20)]
    assert sum(sent) == 2


async def test_faces_are_sent_for_a_check(desk: Desk, connection: Connection) -> None:
    now = iter(range(100))
    looking = Faces(
        Film([]), Place("cam-1", "Door", "wagon 5"), connection, GivenToken("t"), "http://t", lambda: next(now) / 2
    )
    face, nobody = np.asarray(drawn_face(), np.uint8), np.zeros((480, 640, 3), np.uint8)
    for picture in (nobody, face, face, face):
        await looking.look(Shot(picture, 1, NOON_US))
    (sent,) = desk.sightings
    assert [sent[name] for name in ("camera_id", "camera", "location")] == ["cam-1", "Door", "wagon 5"]
    assert sorted(sent) == ["camera", "camera_id", "image", "location", "seen_at"]
    desk.down = True
    for _ in range(25):
        await looking.look(Shot(face, 1, NOON_US))
    assert len(desk.sightings) == 1


class Ends:
    """A source that fails first, then shows one frame and ends."""

    def __init__(self) -> None:
        self.rounds = 0

    def frames(self, ticks: Any) -> Any:
        self.rounds += 1
        if self.rounds == 1:
            raise OSError("no camera")
        yield from Stills([np.full((4, 4, 3), self.rounds, np.uint8)], 1).frames([next(ticks)])


async def test_a_source_that_fails_or_ends_is_begun_again() -> None:
    source = Ends()
    eye = Eye(source, 100, again_s=0.01)
    assert eye.newest is None
    eye.start()
    await until(lambda: eye.newest is not None and eye.newest.picture[0, 0, 0] > 3)
    shot = await eye.next()
    assert shot.number >= 2
    eye.stop()


class Vanishes:
    """A source that shows one frame, then nothing, for ever."""

    def frames(self, ticks: Any) -> Any:
        yield from Stills([np.zeros((4, 4, 3), np.uint8)], 1).frames(iter([next(ticks)]))
        for tick in ticks:
            yield Frame(None, tick, 0)


async def test_nobody_is_seen_by_a_camera_that_vanished() -> None:
    eye = Eye(Vanishes(), 100, stale_s=0.2)
    eye.start()
    await until(lambda: eye.newest is not None)
    await until(lambda: eye.newest is None, 5)
    eye.stop()


async def test_the_robots_session_goes_to_the_servers_that_gave_it_only(tmp_path: Path) -> None:
    nothing: Any = None
    session, here = GivenToken("session"), settings_at(tmp_path)
    elsewhere = replace(here, watch_url="http://elsewhere")
    signed = [
        Watch.of(one, nothing, nothing, session).signing
        for one in (here, elsewhere, replace(elsewhere, watch_token="t"))
    ]
    assert signed[:2] == [session, None]
    assert signed[2] is not None
    assert await signed[2].token() == "t"


async def test_what_nobody_waits_for_is_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None
    watch = Watch(settings_at(tmp_path), nothing, nothing, None, again_s=0.01)
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) < 3:
            raise OSError("no more processes")
        await asyncio.Event().wait()

    watch._begin("deviance", work)
    await until(lambda: len(begun) == 3)
    assert "Watching (deviance) failed" in caplog.text
    await watch.close()
