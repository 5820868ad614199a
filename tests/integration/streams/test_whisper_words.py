"""The real base model on real speech: word errors beside bare faster-whisper, silence and noise, languages."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import jiwer
import numpy as np
import pytest

from streams.workers.audio_decode import pcm_blocks
from streams.workers.audio_source import AudioSource
from streams.workers.whisper import Models, Transcriber, WhisperOptions
from streams.workers.whisper_models import Shelf, is_at_hand
from tests.drivers.speech import BEDNYAGA, JFK, JFK_SAID, MEDIA, RATE, opus, piece, stored, task, wav

pytestmark = [
    pytest.mark.skipif(not MEDIA.is_dir(), reason="the sample media are not beside the checkout"),
    pytest.mark.skipif(
        not is_at_hand("base", Shelf(Path("/nowhere"), download=False)),
        reason="Whisper's base weights are not installed",
    ),
]
PLAIN = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.RemovePunctuation(),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)


@dataclass
class Recogniser:
    """One loaded model, ours around it and bare."""

    transcriber: Transcriber
    model: Any
    folder: Path

    def ours(self, samples: np.ndarray, chunk_s: float = 60.0) -> dict[str, Any]:
        """Heard as a dialogue of chunks as a recorder cuts them."""
        pieces = []
        for number, at in enumerate(range(0, len(samples), int(chunk_s * RATE))):
            part = samples[at : at + int(chunk_s * RATE)]
            claim = stored(self.folder, wav(part), f"c{number}")
            pieces.append(piece(claim, 0, len(part) * 1000 // RATE))
        return dict(self.transcriber(task(pieces)))

    def bare(self, samples: np.ndarray) -> str:
        """faster-whisper with the same settings and nothing around it."""
        found, _ = self.model.transcribe(
            samples.astype(np.float32) / 32768,
            beam_size=5,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=True,
            vad_parameters={"min_silence_duration_ms": 500, "speech_pad_ms": 200},
        )
        return " ".join(one.text.strip() for one in found)


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    folder = tmp_path_factory.mktemp("whisper")
    options = WhisperOptions(cache=str(folder / "cache"), download=False, accurate="", folder=str(folder))
    told: list[str] = []
    models = Models(options, told.append)
    model = models.get("FAST")
    assert any("100 %" in line for line in told)
    return Recogniser(Transcriber(options, models, AudioSource(str(folder), None)), model, folder)


def samples_of(path: Path) -> np.ndarray:
    return np.frombuffer(b"".join(pcm_blocks(path.read_bytes(), 3_600_000)), dtype="<i2")


def errors(said: str, heard: str) -> float:
    return jiwer.wer(said, heard, reference_transform=PLAIN, hypothesis_transform=PLAIN)


def bednyaga_said() -> str:
    with (MEDIA / "speech" / "ru_bednyaga.csv").open(encoding="utf-8") as file:
        return next(csv.DictReader(file))["transcript"]


@pytest.mark.parametrize(("path", "language", "most"), [(JFK, "en", 0.0), (BEDNYAGA, "ru", 0.25)])
def test_word_errors_are_those_of_bare_whisper(recogniser: Recogniser, path: Path, language: str, most: float) -> None:
    said = JFK_SAID if path == JFK else bednyaga_said()
    samples = samples_of(path)
    heard = recogniser.ours(samples)
    ours, bare = errors(said, heard["text"]), errors(said, recogniser.bare(samples))
    print(f"\n{path.name}: word error rate {ours:.3f}, bare faster-whisper {bare:.3f}")
    assert heard["language"] == language
    assert ours <= max(bare, most)
    assert ours <= most
    words = [word for segment in heard["segments"] for word in segment["words"]]
    assert "".join(word["word"] for word in words).split() == heard["text"].split()
    assert all(one["start"] <= one["end"] <= heard["audio_s"] for one in words)
    assert [one["start"] for one in words] == sorted(one["start"] for one in words)


def test_speech_over_a_chunks_border_and_in_opus_is_heard_whole(recogniser: Recogniser) -> None:
    samples = samples_of(JFK)
    half = 5 * RATE + 123
    claims = [
        stored(recogniser.folder, opus(part), name) for name, part in (("a", samples[:half]), ("b", samples[half:]))
    ]
    heard = recogniser.transcriber(task([piece(claims[0], 0, half * 1000 // RATE), piece(claims[1], 0, 5900)]))
    assert errors(JFK_SAID, heard["text"]) <= 0.1


def test_silence_noise_and_music_give_no_text(recogniser: Recogniser) -> None:
    chance = np.random.default_rng(7)
    noise = (chance.normal(0, 0.1, 10 * RATE) * 32767).clip(-32768, 32767).astype(np.int16)
    time_s = np.arange(10 * RATE) / RATE
    chords = sum(np.sin(2 * np.pi * tone * time_s) for tone in (220.0, 277.2, 329.6)) * 3000
    for name, sound in (
        ("silence", np.zeros(10 * RATE, np.int16)),
        ("noise", noise),
        ("chords", chords.astype(np.int16)),
    ):
        heard = recogniser.ours(sound)
        assert heard["text"] == "", name
        assert heard["segments"] == []


def test_speech_among_long_silences_is_heard_at_its_time(recogniser: Recogniser) -> None:
    samples = samples_of(JFK)
    silence = np.zeros(20 * RATE, np.int16)
    heard = recogniser.ours(np.concatenate((silence, samples, silence)))
    assert errors(JFK_SAID, heard["text"]) <= 0.1
    assert heard["segments"][0]["start"] == pytest.approx(20.2, abs=0.6)
    assert heard["segments"][-1]["end"] == pytest.approx(30.5, abs=0.8)


def test_av_reads_what_the_test_writes() -> None:
    """The Opus of these tests is what a recorder sends."""
    import io

    with av.open(io.BytesIO(opus(np.zeros(RATE, np.int16)))) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
