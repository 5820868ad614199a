"""The table of processors: what is read, which step is taken, what is written. A new processor is one more line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

import msgspec

from schemas.envelope import KeyRing
from streams import persistent, speech
from streams.doubts import Doubts
from streams.processors import (
    deviance_signals,
    dialogues,
    emotion_moments,
    face_matching,
    second_pass,
    threats,
    transcription,
    upsell,
    voice_activity,
)
from streams.steps import Emitted, Event, NoState, Step
from streams.upsell.prefilter import Prefilter

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a processor may take.

    Events and bytes of a partition waiting in memory, seconds for one step, events between two snapshots. Of its heavy
    part: `parallel` events of a partition at once, `attempts` at one of them, and `prepare_s` seconds without a sign of
    life before it counts as hanging (a heavy part that tells its progress has the watchdog's own).
    """

    buffered_events: int = 32
    buffered_bytes: int = 16 << 20
    step_s: float = 60.0
    snapshot_events: int = 1_000
    parallel: int = 2
    attempts: int = 3
    prepare_s: float = 600.0


@dataclass(frozen=True, slots=True)
class StateCodec(Generic[S]):
    """How a state begins and how it lies in a snapshot (msgpack). Another `version` makes older snapshots unreadable.

    It may hold maps that are values (`immutables.Map[str, X]`).
    That is no loss: a state without a snapshot is folded from the log. Raise it whenever the step's results change.
    """

    type: type[S]
    version: int

    def empty(self) -> S:
        """Give the state before the first event."""
        return self.type()

    def dump(self, state: S) -> bytes:
        """Serialise a state."""
        return persistent.encode((self.version, state))

    def load(self, data: bytes) -> S | None:
        """Read a state back; None when it was written by another version or is no such state."""
        try:
            version, raw = msgspec.msgpack.decode(data, type=tuple[int, msgspec.Raw])
            return persistent.decode(raw, self.type) if version == self.version else None
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None


STATELESS: Final = StateCodec(NoState, version=1)
"""For a processor that remembers nothing. One with a heavy part has to be such."""


@dataclass(frozen=True, slots=True)
class Processor(Generic[S]):
    """One processor. `name` is its consumer group, the consumer of its dead letters and the author of its ids.

    With a heavy part: `capability` names it, `request` (pure) says what it is to do for an event (None: nothing, the
    step comes at once), and the step finds the result in `event.prepared`. `announce` (pure) gives what is appended to
    `topic_out` when it begins. Several events are prepared at once, the steps are taken in the log's order.

    `idle` (pure; state and now, in log ms) gives events that time itself calls for; they are appended to `topic_in`
    and come back as any other event. It is asked every few seconds for each partition that is processed to its end.
    """

    name: str
    topic_in: str
    topic_out: str
    step: Step[S]
    state: StateCodec[S]
    limits: Limits = field(default_factory=Limits)
    request: Callable[[Event], Mapping[str, Any] | None] | None = None
    capability: str | None = None
    announce: Callable[[Event, Mapping[str, Any]], Sequence[Emitted]] | None = None
    idle: Callable[[S, int], Sequence[Emitted]] | None = None

    def __post_init__(self) -> None:
        if (self.request is None) != (self.capability is None) or (self.announce and not self.request):
            raise ValueError(f"{self.name}: request and capability belong together, announce belongs to them.")
        if self.capability and not self.is_stateless:
            # Its state would be folded from the log, and every fold would do the heavy work again.
            raise ValueError(f"{self.name} has a heavy part, so it cannot have a state.")

    @property
    def is_stateless(self) -> bool:
        """Whether nothing is remembered from event to event."""
        return issubclass(self.state.type, NoState)


@dataclass(frozen=True, slots=True)
class Options:
    """What a site may choose: each processor's thresholds, and the ring of keys for personal data.

    Without a ring speech is not transcribed and not analysed: it waits. `asr_models` are announced (fast, accurate),
    `analyst` too.
    """

    moments: emotion_moments.Thresholds = emotion_moments.THRESHOLDS
    dialogues: dialogues.Thresholds = dialogues.THRESHOLDS
    doubts: Doubts = field(default_factory=Doubts)
    deviance: deviance_signals.Thresholds = deviance_signals.THRESHOLDS
    prefilter: Prefilter = field(default_factory=Prefilter)
    asr_models: tuple[str, str] = ("base", "small")
    analyst: str = "rules-v1"
    ring: KeyRing | None = None

    @property
    def speech(self) -> speech.Options:
        """What both passes of speech recognition share."""
        fast, accurate = self.asr_models
        return speech.Options(self.ring, self.doubts, fast, accurate)


def processors(options: Options) -> tuple[Processor[Any], ...]:
    """Build the table for a site."""
    return (
        *_emotions(options),
        *_dialogues(options),
        *_transcripts(options),
        *_analyses(options),
        *_faces(options),
        *_alerts(options),
    )


def _emotions(options: Options) -> tuple[Processor[Any], ...]:
    return (
        Processor(
            name="emotion.moments",
            topic_in="emotion.points",
            topic_out="emotion.moments",
            step=partial(emotion_moments.step, limits=options.moments),
            state=StateCodec(emotion_moments.State, version=1),
            idle=partial(emotion_moments.idle, limits=options.moments),
        ),
    )


def _dialogues(options: Options) -> tuple[Processor[Any], ...]:
    return (
        Processor(
            name="speech.segments",
            topic_in="audio.chunks",
            topic_out="speech.segments",
            step=voice_activity.step,
            state=STATELESS,
            limits=Limits(parallel=4),
            request=voice_activity.request,
            capability="voice",
        ),
        Processor(
            name="speech.dialogues",
            topic_in="speech.segments",
            topic_out="speech.dialogues",
            step=partial(dialogues.step, limits=options.dialogues),
            state=StateCodec(dialogues.State, version=2),
            idle=partial(dialogues.idle, limits=options.dialogues),
        ),
    )


def _transcripts(options: Options) -> tuple[Processor[Any], ...]:
    fast, accurate = transcription.Transcription(options.speech), second_pass.SecondPass(options.speech)
    passes = (("speech.transcripts", "speech.dialogues", fast), ("speech.second_pass", "speech.transcripts", accurate))
    return tuple(
        Processor(
            name=name,
            topic_in=topic_in,
            topic_out="speech.transcripts",
            step=one.step,
            state=STATELESS,
            limits=Limits(parallel=4),
            request=one.request,
            capability=speech.CAPABILITY,
            announce=one.announce,
        )
        for name, topic_in, one in passes
    )


def _analyses(options: Options) -> tuple[Processor[Any], ...]:
    offers = upsell.Upsell(upsell.Options(options.ring, options.analyst, options.prefilter))
    return (
        Processor(
            name="speech.analyses",
            topic_in="speech.transcripts",
            topic_out="speech.analyses",
            step=offers.step,
            state=STATELESS,
            limits=Limits(parallel=8),
            request=offers.request,
            capability="analysis",
            announce=offers.announce,
        ),
    )


def _faces(options: Options) -> tuple[Processor[Any], ...]:
    matching = face_matching.FaceMatching(options.ring)
    return (
        Processor(
            name="security.matches",
            topic_in="security.faces",
            topic_out="security.matches",
            step=matching.step,
            state=STATELESS,
            limits=Limits(parallel=8),
            request=matching.request,
            capability=face_matching.CAPABILITY,
        ),
    )


def _alerts(options: Options) -> tuple[Processor[Any], ...]:
    return (
        Processor(
            name="deviance.signals",
            topic_in="security.deviance",
            topic_out="security.commands",
            step=partial(deviance_signals.step, limits=options.deviance),
            state=StateCodec(deviance_signals.State, version=1),
            idle=partial(deviance_signals.idle, limits=options.deviance),
        ),
        Processor(
            name="threats",
            topic_in="security.matches",
            topic_out="security.commands",
            step=threats.step,
            state=STATELESS,
        ),
    )


def of(table: Sequence[Processor[Any]], *names: str) -> tuple[Processor[Any], ...]:
    """Some of the table's processors, by name. Raises KeyError for one that is not there."""
    known = {one.name: one for one in table}
    return tuple(known[name] for name in names)


PROCESSORS: Final[tuple[Processor[Any], ...]] = processors(Options())
"""The table with every option at its default."""
