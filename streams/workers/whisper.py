"""Speech recognition in a child process: `open_worker` loads Whisper, what it gives back transcribes dialogues.

Touches the model cache, audio through an `AudioSource`, and nothing else. Runs alike below a processor and on another
machine: it knows neither Kafka nor the key ring.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from streams.workers import BadInput
from streams.workers.audio_source import AudioSource
from streams.workers.settings import set_network
from streams.workers.transcripts import Segment, Task, Transcript, as_mapping
from streams.workers.whisper_audio import RATE, Samples, assemble
from streams.workers.whisper_clips import Clip, Cutting, clips, joints, speech
from streams.workers.whisper_guards import Guards, Heard, guard
from streams.workers.whisper_models import ModelMissing, Shelf, is_at_hand, obtain

DEFAULT_CACHE: Final = "~/.cache/sensorium/whisper"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperOptions:
    """How speech is recognised; every field may come as a plain mapping's key.

    - `fast`, `accurate`: models of the two passes: a name (base, small, medium, large-v3 ...) or a folder. An empty or
      equal `accurate` means that there is no second pass.
    - `cache`: where models are kept; `download`: whether the network is asked for those that are nowhere else.
    - `language`: of all speech, or None to hear which; with too little to hear it from, `usual_languages` decide.
    - `threads`: of one transcription; `beam`: hypotheses kept (5, Whisper's own).
    - `longest_s`: speech of one dialogue beyond which it is refused.
    - `folder`, `base_url`, `internal_token`, `timeout_s`: where the audio is (`AudioSource`).
    - `network`: proxies and certificates for it and for downloads (`workers.settings.network`).
    """

    fast: str = "base"
    accurate: str = "small"
    compute_type: str = "int8"
    threads: int = 2
    cache: str = DEFAULT_CACHE
    download: bool = True
    language: str | None = None
    usual_languages: tuple[str, ...] = ("ru", "en")
    beam: int = 5
    longest_s: float = 3600.0
    worker: str = "asr"
    folder: str | None = None
    base_url: str | None = None
    internal_token: str = field(default="", repr=False)
    timeout_s: float = 60.0
    network: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    cutting: Cutting = field(default_factory=Cutting)
    guards: Guards = field(default_factory=Guards)


Model: TypeAlias = Any
"""A `faster_whisper.WhisperModel`: `transcribe` and `detect_language` are used of it."""


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Load the fast model and give the worker (`streams.workers`); options as in `WhisperOptions`.

    Raises:
        ModelMissing: the fast model cannot be had.
    """
    chosen = msgspec.convert(dict(options), WhisperOptions)
    set_network(chosen.network)
    models = Models(chosen, _tell)
    models.get("FAST")
    models.prepare_accurate()
    source = AudioSource(chosen.folder, chosen.base_url, chosen.internal_token, timeout_s=chosen.timeout_s)
    return Transcriber(chosen, models, source)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class Models:
    """The two models: the fast one at once, the accurate one when it is first wanted; both stay loaded."""

    def __init__(
        self,
        options: WhisperOptions,
        tell: Callable[[str], None],
        load: Callable[[str, WhisperOptions], Model] | None = None,
    ) -> None:
        self._options, self._tell = options, tell
        self._shelf = Shelf(Path(options.cache).expanduser(), options.download)
        self._load = load or _load
        self._loaded: dict[str, Model] = {}
        self._accurate_available = False
        self._given_up = False

    def name(self, asr_pass: str) -> str:
        """The model's name by pass."""
        return {"FAST": self._options.fast, "ACCURATE": self._options.accurate}[asr_pass]

    def get(self, asr_pass: str) -> Model:
        """The loaded model of a pass. Raises ModelMissing."""
        name = self.name(asr_pass)
        if name not in self._loaded:
            began = time.monotonic()
            folder = obtain(name, self._shelf, self._tell)
            self._tell(f"Whisper {name}: loading from {folder}")
            self._loaded[name] = self._load(str(folder), self._options)
            self._tell(f"Whisper {name}: loaded in {time.monotonic() - began:.1f} s")
        return self._loaded[name]

    @property
    def accurate_available(self) -> bool:
        """Whether a second pass can follow: its model is another one and on this machine."""
        accurate = self._options.accurate
        if not self._accurate_available and accurate and accurate != self._options.fast:
            self._accurate_available = is_at_hand(accurate, self._shelf)
        return self._accurate_available and not self._given_up

    def give_up_accurate(self, missing: ModelMissing) -> None:
        """Promise no more second passes: the model turned out not to be there, or to be broken."""
        self._given_up = True
        self._tell(f"No second pass: {missing}")

    def prepare_accurate(self) -> None:
        """Say whether there will be a second pass; let its model be fetched beside the work when it has to be."""
        accurate = self._options.accurate
        if self.accurate_available or not accurate or accurate == self._options.fast:
            return
        if self._options.download:
            threading.Thread(target=self._fetch_accurate, name="accurate-model", daemon=True).start()
        else:
            self._tell(f"No second pass: Whisper {accurate} is not on this machine and downloads are switched off")

    def _fetch_accurate(self) -> None:
        try:
            obtain(self._options.accurate, self._shelf, self._tell)
        except ModelMissing as missing:
            self._tell(f"No second pass until it is there: {missing}")


def _load(folder: str, options: WhisperOptions) -> Model:
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(
            folder, device="cpu", compute_type=options.compute_type, cpu_threads=options.threads, local_files_only=True
        )
    except (RuntimeError, ValueError) as error:  # CTranslate2's words for a folder that holds no whole model
        raise ModelMissing(f"The Whisper model in {folder} cannot be loaded: {error}") from error


class Transcriber:
    """Hears tasks (`transcripts.Task`) and says what was said (`transcripts.Transcript`), both as mappings."""

    def __init__(
        self,
        options: WhisperOptions,
        models: Models,
        source: AudioSource,
        *,
        find_speech: Callable[[Samples, Cutting], list[tuple[int, int]]] = speech,
    ) -> None:
        self._options, self._models, self._source, self._find_speech = options, models, source, find_speech

    def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Transcribe one dialogue; silence gives an empty text.

        Raises:
            BadInput: it is no task, or its audio can never be heard. NotNow: audio or model cannot be had now.
        """
        try:
            task = msgspec.convert(dict(request), Task)
        except msgspec.ValidationError as error:
            raise BadInput(f"This is no transcription task: {error}") from error
        began = time.monotonic()
        pieces = [as_mapping(piece) for piece in task.pieces]
        samples = assemble(pieces, self._source.fetch, self._options.longest_s)
        cutting = self._options.cutting
        cut = clips(self._find_speech(samples, cutting), cutting, joints(task.pieces, cutting))
        model = self._model(task.asr_pass) if cut else None
        language, probability = self._language(model, [clip.of(samples) for clip in cut])
        segments = [one for clip in cut if model for one in self._hear(model, clip, samples, language)]
        heard = guard(segments, self._options.guards)
        return self._transcript(task, heard, (language, probability), (len(samples) / RATE, began))

    def _model(self, asr_pass: str) -> Model:
        """The model of a pass. Without the accurate one a second pass is hopeless rather than something to wait for."""
        try:
            return self._models.get(asr_pass)
        except ModelMissing as missing:
            if asr_pass == "FAST":  # noqa: S105 - a pass of recognition
                raise
            self._models.give_up_accurate(missing)
            raise BadInput(f"There is no second pass: {missing}") from missing

    def _language(self, model: Model | None, sounds: Sequence[Samples]) -> tuple[str, float]:
        chosen, usual = self._options.language, self._options.usual_languages
        if chosen:
            return chosen, 1.0
        if model is None or not sounds:
            return (usual or ("en",))[0], 0.0
        return heard_language(model, max(sounds, key=len), usual)

    def _hear(self, model: Model, clip: Clip, samples: Samples, language: str) -> list[dict[str, Any]]:
        sound = clip.of(samples)
        found, _ = model.transcribe(
            sound,
            language=language,
            beam_size=self._options.beam,
            word_timestamps=True,
            condition_on_previous_text=False,
            hallucination_silence_threshold=self._options.guards.silence_s,
        )
        return [_in_whole(one, clip) for one in _until_end(found, len(sound) / RATE)]

    def _transcript(
        self, task: Task, heard: Heard, language: tuple[str, float], audio: tuple[float, float]
    ) -> dict[str, Any]:
        segments = [msgspec.convert({**one, "id": number}, Segment) for number, one in enumerate(heard.segments)]
        made = Transcript(
            text=" ".join(one.text for one in segments),
            segments=segments,
            language=language[0],
            language_probability=round(language[1], 4),
            model=self._models.name(task.asr_pass),
            audio_s=audio[0],
            avg_logprob=_mean([one.avg_logprob for one in segments]),
            no_speech_prob=_mean([one.no_speech_prob for one in segments]),
            elapsed_s=round(time.monotonic() - audio[1], 3),
            worker=self._options.worker,
            finished_us=time.time_ns() // 1000,
            accurate_available=self._models.accurate_available,
            repetitions=heard.repetitions,
            phantoms=heard.phantoms,
            silences=heard.silences,
        )
        return as_mapping(made)


ENOUGH_S: Final = 5.0
NOTHING_S: Final = 0.3  # at the end of a clip there are 0.2 s of padding
SURE: Final = 0.5


def heard_language(model: Model, sound: Samples, usual: Sequence[str]) -> tuple[str, float]:
    """The language of a clip and its probability.

    Less than 5 s, or no language above 0.5, misleads Whisper: then the likeliest of the usual languages is taken.
    """
    language, probability, everything = model.detect_language(sound)
    if not usual or (len(sound) >= ENOUGH_S * RATE and probability >= SURE):
        return language, probability
    chances = dict(everything)
    likeliest = max(usual, key=lambda one: chances.get(one, 0.0))
    return likeliest, chances.get(likeliest, 0.0)


def _until_end(found: Iterable[Any], length_s: float) -> Iterator[Any]:
    """Segments until one reaches the end: Whisper would listen to the last blink by itself, and invent a tail.

    They are made while they are asked for, window by window.
    """
    for one in found:
        yield one
        if one.end > length_s - NOTHING_S:
            return


def _in_whole(segment: Any, clip: Clip) -> dict[str, Any]:
    """A segment of a clip with times of the assembled audio."""
    words = [
        {
            "start": clip.begins_s(word.start),
            "end": clip.ends_s(word.end),
            "word": word.word,
            "probability": round(float(word.probability), 4),
        }
        for word in segment.words or ()
    ]
    return {
        "start": words[0]["start"] if words else clip.begins_s(segment.start),
        "end": words[-1]["end"] if words else clip.ends_s(segment.end),
        "text": segment.text.strip(),
        "avg_logprob": round(float(segment.avg_logprob), 4),
        "no_speech_prob": round(float(segment.no_speech_prob), 4),
        "words": words,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None
