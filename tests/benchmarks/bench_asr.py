"""Dialogues through processor, journal and child beside bare faster-whisper on the same audio, model and settings.

Figures are seconds of speech heard in a second. Ours counts from the first dialogue in the log to the last transcript
in it: reading, fetching, checking, guarding, sealing and appending are in it. Bare gets the decoded samples.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas import serde
from schemas.examples import load
from streams.workers.audio_decode import pcm_blocks
from streams.workers.whisper import Models, WhisperOptions
from tests.drivers.speech import BEDNYAGA, JFK, MEDIA, RATE, opus, piece, stored
from tests.drivers.transcribing import Site
from tests.drivers.waiting import eventually

TALK = MEDIA / "speech" / "silero_test_60s.wav"
PATIENCE_S = 600
BATCH = 5


def dialogues(count: int) -> list[np.ndarray]:
    """Speech of 5 to 25 s in English and Russian, no two alike, as int16 at 16 kHz."""
    if not MEDIA.is_dir():
        raise SystemExit(f"The sample media are needed at {MEDIA}; silence would be heard too fast.")
    jfk, talk, russian = (_samples(path) for path in (JFK, TALK, BEDNYAGA))
    made: list[np.ndarray] = []
    for number in range(count):
        start = number * 1.7
        part = talk[int(start * RATE) : int((start + 10 + number % 5) * RATE)]
        made.append((jfk, np.concatenate((part, talk[: (number + 1) * RATE // 2])), russian)[number % 3])
    return made


def _samples(path: Path) -> np.ndarray:
    return np.frombuffer(b"".join(pcm_blocks(path.read_bytes(), 3_600_000)), dtype="<i2")


def bare(model: Any, sounds: Sequence[np.ndarray]) -> float:
    """Seconds for all, one after the other, as faster-whisper does it by itself."""
    begin = time.perf_counter()
    for sound in sounds:
        found, _ = model.transcribe(
            sound.astype(np.float32) / 32768,
            beam_size=5,
            word_timestamps=True,
            condition_on_previous_text=False,
            hallucination_silence_threshold=2.0,
            vad_filter=True,
            vad_parameters={"min_silence_duration_ms": 500, "speech_pad_ms": 200},
        )
        assert list(found)
    return time.perf_counter() - begin


def events(folder: Path, sounds: Sequence[np.ndarray], label: str) -> dict[str, bytes]:
    """Closed dialogues by their names, their chunks as Opus in the audio folder."""
    made: dict[str, bytes] = {}
    for number, sound in enumerate(sounds):
        claim = stored(folder, opus(sound), f"{label}{number}")
        name = f"{label}-{number}"
        record = {"dialogue_id": name, "status": "CLOSED", "pieces": [piece(claim, 0, len(sound) * 1000 // RATE)]}
        made[name] = serde.encode("DialogueRevised", load("DialogueRevised") | record)
    return made


def through(site: Site, dialogues: dict[str, bytes]) -> float:
    """Seconds from the first dialogue in the log to the last transcript in it."""
    begin_ms = site.append(*dialogues.values())
    eventually(lambda: dialogues.keys() <= site.produced_at_ms().keys(), PATIENCE_S, 0.5)
    return (max(site.produced_at_ms()[name] for name in dialogues) - begin_ms) / 1000


def measure(bootstrap: str, count: int, threads: int) -> dict[str, float]:
    """Seconds of speech heard in a second by both, and their ratio."""
    folder = Path(tempfile.mkdtemp(prefix="sensorium-bench-asr-"))
    sounds = dialogues(count)
    speech_s = sum(len(sound) for sound in sounds) / RATE
    options = {"cache": str(folder / "models"), "download": False, "accurate": "", "threads": threads}
    model = Models(WhisperOptions(**options), print).get("FAST")
    bare(model, sounds[:2])
    site = Site(bootstrap, folder)
    spent: list[tuple[float, float]] = []
    try:
        site.start(whisper=options | {"folder": str(folder)})
        through(site, events(folder, sounds[:2], "warm"))
        # By turns in small batches, so that what else the machine does falls on both alike.
        for number, at in enumerate(range(0, count, BATCH)):
            part = sounds[at : at + BATCH]
            turns = [
                lambda part=part: bare(model, part),
                lambda n=number, p=part: through(site, events(folder, p, f"b{n}")),
            ]
            first, second = turns if number % 2 == 0 else turns[::-1]
            times = first(), second()
            spent.append(times if number % 2 == 0 else times[::-1])
            print(f"  batch {number + 1}: bare {spent[-1][0]:.1f} s, ours {spent[-1][1]:.1f} s", flush=True)
    finally:
        site.close()
        shutil.rmtree(folder, ignore_errors=True)
    alone, ours = (sum(column) for column in zip(*spent, strict=True))
    return {
        "dialogues": count,
        "speech_s": speech_s,
        "bare_times_real": speech_s / alone,
        "ours_times_real": speech_s / ours,
        "ratio": alone / ours,
    }


def main() -> None:
    """Print the figures for the Kafka named by the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dialogues", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    figures = measure(os.environ["KAFKA_BOOTSTRAP_SERVERS"], given.dialogues, given.threads)
    for name, value in figures.items():
        print(f"{name:18} {value:,.2f}")


if __name__ == "__main__":
    main()
