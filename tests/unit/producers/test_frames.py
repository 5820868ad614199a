"""Newest frames per device, bounded, and the stream made of them."""

import pytest

from producers.frames import Frame, FrameStore, decode_frame


def test_only_the_newest_frame_of_a_device_is_kept():
    frames = FrameStore()
    frames.put("a", Frame(b"1", 10.0))
    frames.put("a", Frame(b"2", 12.5))
    assert frames.newest("a") == Frame(b"2", 12.5)
    assert (frames.fps("a"), frames.fps("unknown")) == (12.5, 0.0)


def test_the_device_silent_longest_makes_room():
    frames = FrameStore(devices=2)
    for device in ("a", "b", "a", "c"):
        frames.put(device, Frame(b"x", 1.0))
    assert [device for device in "abc" if frames.newest(device)] == ["a", "c"]


def test_bytes_are_bounded_but_one_frame_always_fits():
    frames = FrameStore(total_bytes=10)
    frames.put("a", Frame(b"x" * 8, 1.0))
    frames.put("b", Frame(b"x" * 8, 1.0))
    assert frames.newest("a") is None
    frames.put("b", Frame(b"x" * 20, 1.0))
    assert frames.newest("b") == Frame(b"x" * 20, 1.0)


@pytest.mark.parametrize(
    ("text", "jpeg"), [("/9j/", b"\xff\xd8\xff"), ("@@@@", b""), ("", b""), ("/9\nj/", b"\xff\xd8\xff")]
)
def test_foreign_characters_are_skipped_as_the_seed_does(text: str, jpeg: bytes):
    assert decode_frame(text) == jpeg


@pytest.mark.parametrize("text", ["/9j", "a", "я"])
def test_wrong_padding_is_no_frame(text: str):
    assert decode_frame(text) is None


async def test_the_stream_repeats_the_newest_frame(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("producers.frames.STREAM_PERIOD_S", 0)
    frames = FrameStore(streams=1)
    frames.put("a", Frame(b"one", 1.0))
    stream = frames.stream("a")
    part = b"--frame\r\nContent-Type: image/jpeg\r\n\r\none\r\n"
    assert [await anext(stream), await anext(stream)] == [part, part]
    assert not frames.has_room_for_stream()
    frames.put("a", Frame(b"two", 1.0))
    assert b"two" in await anext(stream)
    await stream.aclose()
    assert frames.has_room_for_stream()
