from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agents.emotion_sensor import demo, ticks
from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.cameras import Camera
from edge_agents.emotion_sensor.errors import SourceUnavailable
from edge_agents.emotion_sensor.motion import CANVAS, moved
from edge_agents.emotion_sensor.sources import Pictures, Playlist, Video
from tests.drivers.pictures import drawn_face
from tests.drivers.waiting import eventually


def every(fps: float) -> ticks.Ticks:
    return ticks.as_fast_as_possible(fps, threading.Event())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), drawn_face())
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    return tmp_path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds at 10 frames/s; frame n is of brightness 10 n."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for n in range(20):
        writer.write(np.full((48, 64, 3), n * 10, np.uint8))
    writer.release()
    return path


def test_pictures_follow_each_other_and_an_unreadable_one_is_passed_over(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = list(Pictures(sorted(folder.iterdir()), 2.0).frames(every(5)))
    assert [frame.scene for frame in frames] == [0] * 10 + [1] * 10
    assert "broken.jpg" in caplog.text


def test_a_picture_moves_and_the_same_moment_looks_the_same() -> None:
    face = drawn_face()
    assert moved(face, 1.0).shape == (CANVAS[1], CANVAS[0], 3)
    assert np.array_equal(moved(face, 1.0), moved(face, 1.0))
    assert not np.array_equal(moved(face, 1.0), moved(face, 1.5))


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="no picture"):
        Pictures(list(tmp_path.iterdir()), 2.0)


def test_a_video_plays_at_its_own_speed(clip: Path) -> None:
    frames = list(Video(str(clip)).frames(every(5)))
    shown = [round(float(frame.picture.mean()) / 10) for frame in frames if frame.picture is not None]
    assert shown == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_a_missing_video_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be opened"):
        list(Video(str(tmp_path / "none.mp4")).frames(every(5)))


def test_a_loop_begins_again_with_new_scenes(folder: Path, clip: Path) -> None:
    once = Playlist([Pictures([folder / "a.png"], 1.0), Video(str(clip))], loop=False)
    assert sorted({frame.scene for frame in once.frames(every(5))}) == [0, 1]
    again = Playlist([Pictures([folder / "a.png"], 1.0), Video(str(clip))], loop=True)
    assert max(frame.scene for frame in islice(again.frames(every(5)), 60)) >= 4


def test_a_loop_over_nothing_readable_ends(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"")
    frames = Playlist([Pictures([tmp_path / "broken.jpg"], 1.0)], loop=True).frames(every(5))
    assert list(frames) == []


def test_real_time_leaves_out_what_it_missed() -> None:
    now = [0.0]
    clock_ticks = ticks.real_time(10, threading.Event(), clock=lambda: now[0])
    seen: list[float] = []
    for passed in (0.0, 0.1, 0.35, 0.01, 0.1):
        now[0] += passed + 1e-9
        if now[0] >= (seen[-1] + 0.1 if seen else 0):
            seen.append(next(clock_ticks))
    assert seen == pytest.approx([0.0, 0.1, 0.4, 0.5])


class FakeCapture:
    """A camera that gives `frames` pictures and then nothing."""

    def __init__(self, frames: int) -> None:
        self.left = frames

    def isOpened(self) -> bool:  # noqa: N802
        return self.left >= 0

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (self.left >= 0, np.zeros((4, 4, 3), np.uint8))

    def release(self) -> None:
        self.left = -1


def test_a_lost_camera_is_said_and_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    opened: list[FakeCapture] = []

    def open_capture() -> FakeCapture:
        opened.append(FakeCapture(frames=-1 if len(opened) == 1 else 1))
        return opened[-1]

    camera = Camera("front", open_capture, Backoff(first_s=0.01))
    frames = camera.frames(every(10))
    pictures: list[Any] = []

    def seen_twice() -> bool:
        picture = next(frames).picture
        pictures.extend([picture] if picture is not None else [])
        return len(pictures) >= 2

    eventually(seen_twice, interval=0.005)
    assert len(opened) >= 3
    assert "gives no more pictures" in caplog.text
    assert "cannot be opened" in caplog.text
    assert caplog.text.count("gives pictures") >= 2
    frames.close()  # type: ignore[attr-defined]


@pytest.fixture
def media(tmp_path: Path, folder: Path, clip: Path) -> Path:
    (tmp_path / "media" / "faces").mkdir(parents=True)
    (tmp_path / "media" / "video").mkdir()
    (folder / "a.png").rename(tmp_path / "media" / "faces" / "a.png")
    clip.rename(tmp_path / "media" / "video" / "clip.avi")
    return tmp_path / "media"


def test_the_demo_shows_the_media_it_is_given(media: Path) -> None:
    frames = islice(demo.demo_source(media, 1.0).frames(every(5)), 30)
    assert {frame.picture.shape for frame in frames if frame.picture is not None} == {(480, 640, 3), (48, 64, 3)}


def test_a_demo_of_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="does not exist"):
        demo.demo_source(tmp_path / "none", 1.0)
    with pytest.raises(SourceUnavailable, match="no pictures"):
        demo.demo_source(tmp_path, 1.0)


def test_without_the_portrait_s_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "PORTRAIT", ("no-such-package", "face.jpg"))
    with pytest.raises(SourceUnavailable, match="--camera"):
        demo.portrait()
