"""The worker `voice` in its real child process: whatever is uploaded, the next chunk is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InvalidEvent, TransientFailure
from schemas.examples import load
from streams.processors.voice_activity import request
from streams.steps import Event
from streams.workers.pool import ChildLimits, ChildPool
from tests.drivers.speech import opus, stored, wav
from tests.drivers.voices import encoded, ogg_bomb, pictures_only, quiet, spoken, voice

TARGET = "streams.workers.voice:open_worker"
LIMITS = ChildLimits(memory_bytes=1 << 29, seconds=30.0)
START_US = load("AudioChunkUploaded")["start_us"]
GOOD = opus(spoken([(1000, 4000)], 8_000))


def chunk(folder: Path, data: bytes, name: str = "c", claimed_s: float = 60) -> dict[str, Any]:
    """What the processor asks for when this has been uploaded."""
    claim = {"end_us": START_US + round(claimed_s * 1_000_000)} | stored(folder, data, name)
    asked = request(Event("AudioChunkUploaded", load("AudioChunkUploaded") | claim, 0))
    assert asked is not None
    return dict(asked)


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncGenerator[ChildPool]:
    made = ChildPool(TARGET, {"folder": str(tmp_path)}, LIMITS)
    yield made
    await made.close()


HOPELESS = {
    "not audio": (b"MZ" + bytes(range(256)) * 200, 60, "no recording that can be read"),
    "empty": (b"", 60, "empty"),
    "0 s": (wav(quiet(0)), 60, "holds no sound"),
    "pictures": (pictures_only(), 60, "only other streams"),
    "header only": (GOOD[:50], 60, "no recording that can be read"),
    "an Ogg bomb": (ogg_bomb(36_000), 60, "beyond 120 s"),
    "a bomb that claims 10 h": (ogg_bomb(40_000), 36_000, "beyond 7200 s"),
    "more than a lying clock claims": (ogg_bomb(300), -60, "beyond 60 s"),
}


async def test_hopeless_input_gets_its_sentence_and_the_child_goes_on(
    pool: ChildPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "streams.workers")
    for name, (data, claimed_s, sentence) in HOPELESS.items():
        with pytest.raises(InvalidEvent, match=sentence):
            await pool(chunk(tmp_path, data, name, claimed_s))
        found = await pool(chunk(tmp_path, GOOD))
        assert found["start_ms"] == pytest.approx([1000], abs=60)
    assert len([one for one in caplog.messages if "is ready" in one]) == 1, "none of this cost a child"


@pytest.mark.parametrize(
    ("name", "data", "audio_ms"),
    [
        ("truncated", GOOD[: len(GOOD) // 2], 2000),
        ("wav under an .ogg name", wav(spoken([(1000, 4000)], 8_000)), 8000),
        ("mp3", encoded(spoken([(1000, 4000)], 8_000), "mp3", "libmp3lame", 44_100), 8000),
        ("stereo flac", encoded(spoken([(1000, 4000)], 8_000), "flac", "flac", 44_100, "stereo"), 8000),
        ("trailing rubbish", GOOD + bytes(5000), 8000),
    ],
)
async def test_what_can_be_heard_is_heard(
    pool: ChildPool, tmp_path: Path, name: str, data: bytes, audio_ms: int
) -> None:
    found = await pool(chunk(tmp_path, data, name))
    assert found["audio_ms"] == pytest.approx(audio_ms, rel=0.1 if name == "truncated" else 0.01)
    assert found["start_ms"] == pytest.approx([1000], abs=60)


async def test_a_chunk_that_was_deleted_is_hopeless_and_a_folder_that_is_away_is_not(
    pool: ChildPool, tmp_path: Path
) -> None:
    asked = chunk(tmp_path, GOOD)
    (tmp_path / asked["stored_path"]).unlink()
    with pytest.raises(InvalidEvent, match="not there any more"):
        await pool(asked)
    away = ChildPool(TARGET, {"folder": str(tmp_path / "unmounted")}, LIMITS)
    try:
        with pytest.raises(TransientFailure, match="is not there"):
            await away(asked)
    finally:
        await away.close()


async def test_many_chunks_in_several_children(tmp_path: Path) -> None:
    pool = ChildPool(TARGET, {"folder": str(tmp_path), "aggressiveness": 3}, replace(LIMITS, nice=5), size=2)
    try:
        asked = [chunk(tmp_path, opus(voice(1 + n / 10)), f"{n}") for n in range(12)]
        found = await asyncio.gather(*map(pool, asked))
        assert [one["audio_ms"] for one in found] == pytest.approx([1000 + 100 * n for n in range(12)], abs=10)
    finally:
        await pool.close()
