"""Speech for tests: chunks on disk, dialogues made of them, a model that says what it is told, the sample media."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

RATE = 16_000
MEDIA = Path(__file__).resolve().parents[3] / "shared" / "media"
JFK = MEDIA / "speech" / "en_jfk.flac"
BEDNYAGA = MEDIA / "speech" / "ru_bednyaga.wav"
JFK_SAID = "And so my fellow Americans ask not what your country can do for you ask what you can do for your country"


def wav(samples: np.ndarray) -> bytes:
    """A 16 kHz mono file of int16 samples (or floats in -1..1)."""
    if samples.dtype != np.int16:
        samples = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def opus(samples: np.ndarray) -> bytes:
    """The same sound as OGG/Opus, as a recorder sends it."""
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for one in av.AudioResampler("s16", "mono", 48_000).resample(frame):
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    return out.getvalue()


def ramp(length_s: float, start: int = 0) -> np.ndarray:
    """Samples that tell where they are: the n-th millisecond has the value start + n."""
    return np.repeat(np.arange(start, start + int(length_s * 1000), dtype=np.int16), RATE // 1000)


def stored(folder: Path, data: bytes, chunk_id: str, start_us: int = 0) -> dict[str, Any]:
    """Put a chunk into an audio folder; its claim, without times."""
    digest = hashlib.sha256(data).hexdigest()
    path = Path("audio") / "sha256" / digest[:2] / f"{digest}.ogg"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)
    return {"chunk_id": chunk_id, "chunk_start_us": start_us, "sha256": digest, "stored_path": str(path)}


def piece(claim: Mapping[str, Any], start_ms: int, end_ms: int) -> dict[str, Any]:
    """A stretch of a chunk."""
    return {**claim, "start_ms": start_ms, "end_ms": end_ms}


def task(pieces: Sequence[Mapping[str, Any]], name: str = "d", asr_pass: str = "FAST") -> dict[str, Any]:
    """What the capability `asr` is asked for."""
    return {
        "task_id": f"{name}/1/{asr_pass}",
        "dialogue_id": name,
        "revision": 1,
        "asr_pass": asr_pass,
        "pieces": list(pieces),
        "limit_s": 60.0,
    }


def transcript(text: str = "Один капучино.", **changes: Any) -> dict[str, Any]:
    """A heavy part's answer."""
    segment = {"id": 0, "start": 0.0, "end": 2.0, "text": text, "avg_logprob": -0.2, "no_speech_prob": 0.01}
    words = [{"start": 0.0, "end": 2.0, "word": text, "probability": 0.9}]
    return {
        "text": text,
        "segments": [{**segment, "words": words}] if text else [],
        "language": "ru",
        "language_probability": 1.0,
        "model": "base",
        "audio_s": 20.0,
        "avg_logprob": -0.2 if text else None,
        "no_speech_prob": 0.01 if text else None,
        "elapsed_s": 0.5,
        "worker": "w",
        "finished_us": 7,
        "accurate_available": False,
    } | changes


@dataclass
class FakeModel:
    """A Whisper that hears `texts` in turn, one segment a clip, and remembers what it was given."""

    texts: Sequence[str] = ("Один капучино, пожалуйста.",)
    languages: Mapping[str, float] = field(default_factory=lambda: {"ru": 0.9, "en": 0.1})
    calls: list[dict[str, Any]] = field(default_factory=list)

    def detect_language(self, audio: np.ndarray, **_: Any) -> tuple[str, float, list[tuple[str, float]]]:
        ranked = sorted(self.languages.items(), key=lambda one: -one[1])
        return ranked[0][0], ranked[0][1], ranked

    def transcribe(self, audio: np.ndarray, **options: Any) -> tuple[Any, Any]:
        self.calls.append({"length_s": len(audio) / RATE, **options})
        text = self.texts[(len(self.calls) - 1) % len(self.texts)]
        words = [
            SimpleNamespace(
                start=np.float64(n * 0.25), end=np.float64(n * 0.25 + 0.2), word=f" {word}", probability=0.9
            )
            for n, word in enumerate(text.split())
        ]
        end = words[-1].end if words else 1.0
        made = SimpleNamespace(
            start=0.0, end=end, text=f" {text}", avg_logprob=-0.3, no_speech_prob=0.02, words=words
        )  # fmt: skip
        return iter([made] if text else []), None
