"""Video files: every frame once and by its number, and files that are broken, empty, endless, odd or hostile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streams.vision import video_file
from streams.vision.video_file import VideoFile
from streams.workers import BadInput
from streams.workers.vision import opened
from tests.drivers.video import MEDIA, PEDESTRIANS, count, film, number_of, numbered

LONG = 620
"""More than what is counted through."""
UNREADABLE = r"^failed_to_read_frame: "


def numbers(video: VideoFile, most: int = 10_000) -> list[int]:
    seen: list[int] = []
    while len(seen) < most and (frame := video.next()) is not None:
        assert number_of(frame.pixels()) == frame.number % 256
        seen.append(frame.number)
    return seen


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same frames in containers with and without times, with and without frames that come before their turn."""
    folder = tmp_path_factory.mktemp("films")
    coded: dict[str, dict[str, Any]] = {
        "plain.avi": {"qmin": "1", "qmax": "1", "b": "9000000"},
        "turned.mp4": {"codec": "libx264", "bf": "3", "g": "50", "preset": "ultrafast"},
        "turned.mkv": {"codec": "libx264", "bf": "3", "g": "50", "preset": "ultrafast"},
    }
    return {name: count(folder / name, LONG, **how) for name, how in coded.items()}


@pytest.mark.parametrize("name", ["plain.avi", "turned.mp4", "turned.mkv"])
def test_each_frame_comes_once_with_its_number_and_time(films: dict[str, Path], name: str) -> None:
    video = VideoFile(str(films[name]))
    assert (video.size, video.fps, video.live) == ((64, 48), 25.0, False)
    assert video.frames_total == LONG
    frames = list(iter(video.next, None))
    assert [frame.number for frame in frames] == list(range(LONG))
    assert [frame.ms for frame in frames] == [number * 40 for number in range(LONG)]
    assert video.frames_total == LONG
    video.close()


@pytest.mark.parametrize("name", ["plain.avi", "turned.mp4", "turned.mkv"])
@pytest.mark.parametrize("number", [0, 1, 37, 499, 501, 549, 550, 551, LONG - 1])
def test_going_on_elsewhere_is_exact_to_the_frame(films: dict[str, Path], name: str, number: int) -> None:
    video = VideoFile(str(films[name]))
    video.next()
    video.go_to(number)
    assert numbers(video, 3) == list(range(number, min(LONG, number + 3)))
    video.go_to(5)
    assert numbers(video, 2) == [5, 6]
    video.close()


def test_going_far_does_not_decode_all_that_is_before(films: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    video = VideoFile(str(films["turned.mp4"]))
    decoded: list[int] = []
    real = VideoFile._decoded

    def counting(self: VideoFile) -> Iterator[Any]:
        for frame in real(self):
            decoded.append(1)
            yield frame

    monkeypatch.setattr(VideoFile, "_decoded", counting)
    video.go_to(LONG - 1)
    assert numbers(video) == [LONG - 1]
    assert len(decoded) <= 50
    video.close()


@pytest.mark.parametrize("name", ["plain.avi", "turned.mp4"])
def test_a_long_way_is_gone_in_pieces(films: dict[str, Path], name: str) -> None:
    video, looks = VideoFile(str(films[name])), 0

    def enough() -> bool:
        nonlocal looks
        looks += 1
        return looks % 10 == 0

    asked = 1
    while not video.go_to(LONG - 1, enough):
        asked += 1
    assert 2 < asked < LONG / 8
    assert numbers(video) == [LONG - 1]
    assert not video.go_to(LONG - 2, enough=lambda: True)  # back, from the beginning or a key frame
    video.go_to(3)
    assert numbers(video, 1) == [3]
    video.close()


@pytest.mark.parametrize("number", [LONG, LONG + 1, 100_000])
def test_behind_the_end_there_is_nothing(films: dict[str, Path], number: int) -> None:
    for name in ("plain.avi", "turned.mp4"):
        video = VideoFile(str(films[name]))
        video.go_to(number)
        assert video.next() is None
        assert video.frames_total == LONG
        video.close()


def test_frames_that_do_not_come_evenly_have_their_own_times(tmp_path: Path) -> None:
    times = [0, 10, 500, 510, 2000, 2001]
    path = film(tmp_path / "v.mkv", (numbered(n) for n in range(6)), codec="mpeg4", times=times)
    video = VideoFile(str(path))
    assert [frame.ms for frame in iter(video.next, None)] == times
    video.close()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (63, 47), (641, 1), (1, 400), (7, 333)])
def test_odd_sizes_come_as_they_are(tmp_path: Path, size: tuple[int, int]) -> None:
    grey = (np.full((size[1], size[0], 3), 128, np.uint8) for _ in range(3))
    video = VideoFile(str(film(tmp_path / "v.avi", grey, codec="png", pix_fmt="rgb24")))
    shapes = [frame.pixels().shape for frame in iter(video.next, None)]
    assert shapes == [(size[1], size[0], 3)] * 3
    video.close()


def test_a_size_that_changes_in_the_middle_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    sizes = [(64, 48), (64, 48), (320, 200), (33, 17)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", numbered(n, size))[1].tobytes() for n, size in enumerate(sizes)))
    video = VideoFile(str(path))
    assert [frame.pixels().shape[1::-1] for frame in iter(video.next, None)] == sizes
    assert video.size == (33, 17)
    video.close()


def test_frames_that_grow_too_large_in_the_middle_are_not_unfolded(tmp_path: Path) -> None:
    path = tmp_path / "v.mjpeg"
    path.write_bytes(b"".join(cv2.imencode(".jpg", numbered(0, size))[1].tobytes() for size in [(64, 48), (400, 400)]))
    video = VideoFile(str(path), most_pixels=10_000)
    first = video.next()
    assert first
    assert first.pixels().shape == (48, 64, 3)
    assert video.next() is None  # the decoder refuses it, the file ends there
    video.close()


@pytest.mark.parametrize("name", ["2026-01-01T10:00.mkv", "видео 1.mkv", "file:v.mkv", "%03d.mkv", "-v.mkv", "a|b.mkv"])
def test_a_file_may_be_called_anything(
    tmp_path: Path, films: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(films["turned.mkv"], name)
    video = VideoFile(name)
    assert numbers(video, 2) == [0, 1]
    video.close()


# --- files that are wrong -----------------------------------------------------------------------------------------


def test_a_file_that_breaks_off_gives_what_is_there(films: dict[str, Path], tmp_path: Path) -> None:
    for name in ("plain.avi", "turned.mkv"):
        whole = films[name].read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        video = VideoFile(str(tmp_path / name))
        seen = numbers(video, 250)
        seen += [frame.number for frame in iter(video.next, None)]  # the last one is in pieces
        assert 250 < len(seen) < LONG
        assert seen == list(range(len(seen)))
        assert video.frames_total == len(seen)
        video.close()


def test_a_file_with_holes_ends_or_goes_on_but_is_read(films: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(films["plain.avi"].read_bytes())
    chance = np.random.default_rng(3)
    for at in chance.integers(len(data) // 4, len(data), 200):
        data[at] ^= 0xFF
    (tmp_path / "v.avi").write_bytes(data)
    video = VideoFile(str(tmp_path / "v.avi"))
    frames = [frame.number for frame in iter(video.next, None)]
    assert len(frames) > 100
    video.close()


def y4m(width: int, height: int) -> bytes:
    return f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\nFRAME\n".encode() + bytes(200)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.mp4", b"", "is empty"),
        ("noise.mp4", bytes(range(256)) * 40, "no video that can be read"),
        ("text.avi", b"this is a letter\n" * 10, "no video that can be read"),
        ("zeros.mp4", bytes(100_000), "no video that can be read"),
        ("head.avi", b"RIFF\xff\xff\xff\xffAVI LIST", "no video that can be read|can be decoded"),
        ("huge.y4m", y4m(60_000, 60_000), "larger than|no video that can be read"),
        ("large.y4m", y4m(9_000, 9_000), "larger than|no video that can be read"),
        ("none.y4m", y4m(0, 0), "pixels|no video that can be read"),
        ("less.y4m", y4m(-5, 100), "pixels|no video that can be read"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.avi\n#EXT-X-ENDLIST\n", "no video that"),
        ("web.m3u8", b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n", "no video that can be read"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile 'other.avi'\n", "no video that can be read"),
        (
            "play.sdp",
            b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
            "no video that",
        ),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence(
    tmp_path: Path, films: dict[str, Path], name: str, data: bytes, words: str
) -> None:
    shutil.copy(films["plain.avi"], tmp_path / "other.avi")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=UNREADABLE + f".*({words})"):
        VideoFile(str(tmp_path / name)).next()


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in (tmp_path / "pipe.mp4", "/dev/zero", tmp_path):
        with pytest.raises(BadInput, match=UNREADABLE + ".*is no file"):
            opened(str(name))
    for name in (tmp_path / "none.mp4", "a\0b", "x" * 5000):
        with pytest.raises(BadInput, match=UNREADABLE + "there is no file"):
            opened(str(name))


@pytest.mark.parametrize("name", ["file:///etc/passwd", "concat://a|b", "ftp://x/y", "subfile,,start,0,end,0,,://x"])
def test_addresses_of_other_kinds_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=UNREADABLE + "an address begins with"):
        opened(name)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(BadInput, match=UNREADABLE + ".*holds no video"):
        VideoFile(str(tmp_path / "sound.mkv"))


def test_packets_that_never_decode_come_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(count(tmp_path / "v.avi", 60, codec="mjpeg", pix_fmt="yuvj420p").read_bytes())
    at = data.find(b"00dc")
    while at >= 0 and (after := data.find(b"00dc", at + 4)) >= 0:
        data[at + 8 : after] = b"\x17" * (after - at - 8)
        at = after
    (tmp_path / "w.avi").write_bytes(data)
    monkeypatch.setattr(video_file, "MOST_BROKEN", 20)
    with pytest.raises(BadInput, match=UNREADABLE):
        numbers(VideoFile(str(tmp_path / "w.avi")))


@pytest.mark.skipif(not PEDESTRIANS.is_file(), reason="the sample media are not here")
def test_the_sample_films_are_read_to_their_ends() -> None:
    lengths = {}
    for path in [PEDESTRIANS, *sorted((MEDIA / "fight").iterdir())]:
        video = VideoFile(str(path))
        lengths[path.name] = (sum(1 for _ in iter(video.next, None)), video.size)
        video.close()
    assert lengths["vtest_480x360.avi"] == (795, (480, 360))
    assert all(frames > 20 for frames, _ in lengths.values())
