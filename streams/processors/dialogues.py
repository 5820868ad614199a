"""`speech.segments` -> `speech.dialogues`: conversations at a counter, cut by silence. Pure; docs/decisions/0016.

What a dialogue is follows from when its speech was recorded, not from when that became known: a chunk that comes late,
twice or out of order changes the dialogues it touches, and each of these is told anew as its next revision.
"""

from __future__ import annotations

import hashlib
import operator
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE
from streams import dialogue_cutting as cutting
from streams.dialogue_cutting import Heard, Part, Piece, Source
from streams.steps import Emitted, Event

DAY_MS: Final = 86_400_000
LONGEST_MS: Final = 1_800_000  # a revision names all its pieces: it has to fit into a message
WITHDRAWN_KEPT: Final = 32  # ids that must not be given again
MARK_BYTES: Final = (
    6  # of a chunk of which nothing else is remembered: two chunks of a week share one in 10 million years
)
MARKS_SHARE: Final = 4  # a quarter of a device's memory: 7,000 chunks, more than a week of days of 14 hours


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a conversation ends, reasoned in docs/sales-audio-tuning.md. Times in milliseconds.

    - `gap_ms`, `longest_ms`: a longer pause, or a piece with which it would be longer, begins another dialogue.
    - `idle_ms` (log time): a dialogue of which nothing was heard for so long is over; one chunk, its upload with some
      retries, and the gap.
    - `hole_ms`: recordings that lie closer are one recording; clocks in whole seconds, encoders' last frames.
    - `reach_ms`: a chunk says something about dialogues no further away than this; a lying clock nothing about others.
    - `unreadable_ms`: no more than this of a chunk that could not be decoded counts as time that has passed.
    - `same_share`: overlapping chunks hold one sound if their speech agrees that much.
    - `minimum_ms`: dialogues with less speech are kept, but not told of.
    - `forget_ms` (log time): a device unheard of for so long is forgotten; recorders keep what is unsent for 7 days.
    - `device_bytes`, `total_bytes`: how much is remembered of a device, and in a partition (a snapshot holds it all).
    """

    gap_ms: int = 12_000
    longest_ms: int = 120_000
    idle_ms: int = 192_000
    hole_ms: int = 2_000
    reach_ms: int = 3_600_000
    unreadable_ms: int = 60_000
    same_share: float = 0.75
    minimum_ms: int = 0
    forget_ms: int = 8 * DAY_MS
    device_bytes: int = 168 << 10
    total_bytes: int = 6 << 20

    def __post_init__(self) -> None:
        if self.gap_ms <= 0 or not 0 < self.longest_ms <= LONGEST_MS or self.idle_ms < self.gap_ms:
            raise ValueError("Dialogues want a gap, at most 30 minutes, and an idle time that is not below the gap.")


THRESHOLDS: Final = Thresholds()


class Dialogue(msgspec.Struct, frozen=True, array_like=True):
    """A dialogue as it was last told (revision 0: not yet); `touched_ms`: log time of the last change of its speech."""

    dialogue_id: str
    start_us: int
    end_us: int
    parts: tuple[Part, ...]
    touched_ms: int
    closed: bool = False
    revision: int = 0

    @property
    def source(self) -> Source:
        """The chunk in which it begins."""
        return self.parts[0].source


class Device(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a device: recordings as they became known, dialogues in the order of their time.

    `marks` are those of chunks of which nothing else is remembered: one of them that comes again is no news.
    """

    last_log_ms: int = 0
    heard: tuple[Heard, ...] = ()
    dialogues: tuple[Dialogue, ...] = ()
    withdrawn: tuple[str, ...] = ()
    size: int = 0
    marks: bytes = b""


class State(msgspec.Struct, frozen=True):
    """Devices of a partition, the one unheard of longest first."""

    devices: dict[str, Device] = msgspec.field(default_factory=dict[str, Device])


def step(state: State, event: Event, limits: Thresholds = THRESHOLDS) -> tuple[State, list[Emitted]]:
    """Fold one event into the state; a revision of every dialogue that it opened, changed, closed or merged away.

    Raises:
        InvalidEvent: an event that does not belong on `speech.segments`, or segments that are none.
    """
    if event.name not in ("SpeechSegmentsDetected", "SpeechDeviceIdle"):
        raise InvalidEvent(f"{event.name} is not an event of speech.segments.")
    devices = dict(state.devices)
    device_id = event.record["device_id"]
    before = devices.pop(device_id, Device())
    if event.name == "SpeechDeviceIdle":
        after = _idle(before, event.record["idle_since_ms"])
    else:
        after = _hear(before, device_id, event, limits)
    devices[device_id], emitted = _tell(device_id, before, after, limits)
    emitted += _forget(devices, device_id, event, limits)
    return State(devices), emitted


def idle(state: State, now_ms: int, limits: Thresholds = THRESHOLDS) -> list[Emitted]:
    """Name the devices that have a dialogue open and have not been heard of, by the log's clock."""
    return [
        Emitted("SpeechDeviceIdle", key.encode(), {"device_id": key, "idle_since_ms": device.last_log_ms})
        for key, device in state.devices.items()
        if now_ms - device.last_log_ms >= limits.idle_ms and not all(one.closed for one in device.dialogues)
    ]


def _idle(device: Device, since_ms: int) -> Device:
    return device if device.last_log_ms > since_ms else _close_all(device)


def _close_all(device: Device) -> Device:
    closed = tuple(one if one.closed else msgspec.structs.replace(one, closed=True) for one in device.dialogues)
    return msgspec.structs.replace(device, dialogues=closed)


def _hear(device: Device, device_id: str, event: Event, limits: Thresholds) -> Device:
    heard, source = _read(event.record, limits)
    known = next((one for one in device.heard if one.chunk_id == heard.chunk_id), None)
    device = msgspec.structs.replace(device, last_log_ms=event.log_time_ms)
    if _mark(heard) in device.marks or (known is not None and (known.readable or not heard.readable)):
        return _closed_by(device, None, limits)
    others = tuple(one for one in device.heard if one is not known)
    dialogues = device.dialogues
    if heard.spans:
        dialogues = _recut(device, device_id, (heard, source), limits)
    device = msgspec.structs.replace(device, heard=(*others, heard), dialogues=dialogues)
    return _closed_by(device, heard, limits)


def _read(record: Any, limits: Thresholds) -> tuple[Heard, Source]:
    """What was heard, and the chunk it is from. An unreadable chunk is time that has passed, a silence has no id."""
    starts, ends, start_us = record["segment_start_ms"], record["segment_end_ms"], record["start_us"]
    spans = [ms for span in zip(starts, ends, strict=False) for ms in span]
    if len(starts) != len(ends) or [0, *spans] != sorted([0, *spans]) or any(map(operator.ge, starts, ends)):
        raise InvalidEvent("Segments are not in order: each has to begin before it ends, and after the one before.")
    if record["outcome"] == "ERROR":
        spans, end_us = [], min(record["end_us"], start_us + limits.unreadable_ms * 1000)
    elif record["chunk_id"] is None:
        end_us = record["end_us"]
    else:
        end_us = start_us + max(record["audio_ms"], *spans[-1:], 0) * 1000
    chunk_id = record["chunk_id"] or f"silence/{start_us}/{end_us}"
    heard = Heard(chunk_id, start_us, max(start_us, end_us), record["outcome"] == "DONE", tuple(spans))
    names = (record[name] for name in ("sha256", "stored_path", "point_id", "register_id"))
    return heard, Source(chunk_id, start_us, heard.end_us, *names)


def _recut(device: Device, device_id: str, new: tuple[Heard, Source], limits: Thresholds) -> tuple[Dialogue, ...]:
    """Cut anew what a chunk can touch: the dialogues within a gap of it, and those that follow without a gap."""
    heard, _ = new
    first, stop = _region(device.dialogues, heard, limits.gap_ms * 1000)
    old = device.dialogues[first:stop]
    pieces = _pieces(old, device.heard, new, limits)
    groups = [
        (group[0].start_us, max(one.end_us for one in group), cutting.parts(group))
        for group in cutting.cut(pieces, limits.gap_ms * 1000, limits.longest_ms * 1000)
    ]
    carried = cutting.match([one.parts for one in old], [one[2] for one in groups])
    taken = {one.dialogue_id for one in device.dialogues} | set(device.withdrawn)
    made: list[Dialogue] = []
    for n, group in enumerate(groups):
        before = old[carried[n]] if n in carried else None
        if before is not None and before.parts == group[2]:
            made.append(before)
            continue
        dialogue_id = before.dialogue_id if before else _new_id(device_id, group[2][0], taken)
        taken.add(dialogue_id)
        revision = before.revision if before else 0
        made.append(Dialogue(dialogue_id, *group, device.last_log_ms, closed=False, revision=revision))
    return (*device.dialogues[:first], *made, *device.dialogues[stop:])


def _region(dialogues: Sequence[Dialogue], heard: Heard, gap_us: int) -> tuple[int, int]:
    first = next((n for n, one in enumerate(dialogues) if one.end_us >= heard.start_us - gap_us), len(dialogues))
    stop, until = first, heard.end_us
    while stop < len(dialogues) and dialogues[stop].start_us - until <= gap_us:
        until = max(until, dialogues[stop].end_us)
        stop += 1
    return first, stop


def _pieces(
    old: Iterable[Dialogue], known: Sequence[Heard], new: tuple[Heard, Source], limits: Thresholds
) -> list[Piece]:
    """Speech of old dialogues and of a new chunk, without what is in two recordings."""
    heard, source = new
    own = cutting.trim_ms(heard, known, limits.same_share)
    others = {one.chunk_id: cutting.trim_ms(one, (heard,), limits.same_share) for one in known}
    before = [(piece, others.get(piece.source.chunk_id, 0)) for one in old for piece in cutting.pieces(one.parts)]
    after = [(Piece(source, start, end), own) for start, end in cutting.pairs(heard.spans)]
    cleared = (cutting.trimmed(piece, from_ms) for piece, from_ms in before + after)
    return cutting.in_time_order(one for one in cleared if one is not None)


def _new_id(device_id: str, part: Part, taken: set[str]) -> str:
    """An id made from the speech a dialogue begins with when it is first known; another one if that is given."""
    name, n = f"dialogue/{device_id}/{part.source.chunk_id}/{part.spans[0]}", 0
    while (made := str(uuid.uuid5(NAMESPACE, f"{name}/{n}" if n else name))) in taken:
        n += 1
    return made


def _closed_by(device: Device, heard: Heard | None, limits: Thresholds) -> Device:
    """Close the dialogues that are over by what is known now."""
    if all(one.closed for one in device.dialogues):
        return device
    dialogues = list(device.dialogues)
    for n, one in enumerate(dialogues):
        following = dialogues[n + 1] if n + 1 < len(dialogues) else None
        if not one.closed and (
            device.last_log_ms - one.touched_ms >= limits.idle_ms
            or _is_full(one, following, limits)
            or (heard is not None and _is_past(one, heard, device.heard, limits))
            or _is_followed_by_silence(one, device.heard, limits)
        ):
            dialogues[n] = msgspec.structs.replace(one, closed=True)
    return msgspec.structs.replace(device, dialogues=tuple(dialogues))


def _is_full(one: Dialogue, following: Dialogue | None, limits: Thresholds) -> bool:
    """Whether nothing more would fit in."""
    next_is_close = following is not None and following.start_us - one.end_us <= limits.gap_ms * 1000
    return next_is_close or one.end_us - one.start_us >= limits.longest_ms * 1000


def _is_past(one: Dialogue, heard: Heard, known: Iterable[Heard], limits: Thresholds) -> bool:
    """Whether the recording that came next lies a gap further on. What was left out between them is not waited for.

    Where more is known of the time after it, the dialogue itself is late, and what follows it may be, too. What lies
    far away says nothing: its clock may lie.
    """
    near_us = one.end_us + limits.reach_ms * 1000
    is_next = not any(one.end_us < other.start_us <= near_us for other in known if other is not heard)
    return is_next and one.end_us < heard.start_us <= near_us and heard.end_us - one.end_us > limits.gap_ms * 1000


def _is_followed_by_silence(one: Dialogue, known: Iterable[Heard], limits: Thresholds) -> bool:
    """Whether the device was heard for a gap after it. Exactly a gap is enough if its own recording ended with it."""
    last = max((part.source for part in one.parts), key=lambda source: source.end_us)
    until = cutting.heard_until(known, one.end_us, limits.hole_ms * 1000)
    return until - one.end_us > limits.gap_ms * 1000 or last.end_us - one.end_us >= limits.gap_ms * 1000


def _tell(device_id: str, before: Device, after: Device, limits: Thresholds) -> tuple[Device, list[Emitted]]:
    """Give every dialogue that changed its next revision, and say so."""
    told = {one.dialogue_id: one for one in before.dialogues}
    emitted: list[Emitted] = []
    dialogues: list[Dialogue] = []
    for now in after.dialogues:
        one, old = now, told.pop(now.dialogue_id, None)
        changed = old is not one and (old is None or (old.parts, old.closed) != (one.parts, one.closed))
        if changed and (one.revision or _speech_ms(one) >= limits.minimum_ms):
            one = msgspec.structs.replace(one, revision=one.revision + 1)
            emitted.append(_revised(device_id, one, "CLOSED" if one.closed else "OPEN"))
        dialogues.append(one)
    emitted += [_withdrawn(device_id, one, dialogues) for one in told.values() if one.revision]
    withdrawn = (*after.withdrawn, *told)[-WITHDRAWN_KEPT:]
    return msgspec.structs.replace(after, dialogues=tuple(dialogues), withdrawn=withdrawn), emitted


def _speech_ms(one: Dialogue) -> int:
    return sum(end - start for part in one.parts for start, end in cutting.pairs(part.spans))


def _withdrawn(device_id: str, one: Dialogue, dialogues: Sequence[Dialogue]) -> Emitted:
    there = [other for other in dialogues if other.revision]
    heir = cutting.heir(one.parts, [other.parts for other in there])
    if heir is None:  # its sound is in another recording, too: whoever has that time
        heir = next((n for n, other in enumerate(there) if other.start_us <= one.start_us <= other.end_us), None)
    gone = msgspec.structs.replace(one, revision=one.revision + 1)
    return _revised(device_id, gone, "WITHDRAWN", None if heir is None else there[heir].dialogue_id)


def _revised(device_id: str, one: Dialogue, status: str, merged_into: str | None = None) -> Emitted:
    record = {
        "dialogue_id": one.dialogue_id,
        "revision": one.revision,
        "status": status,
        "merged_into": merged_into,
        "device_id": device_id,
        "point_id": one.source.point_id,
        "register_id": one.source.register_id,
        "start_us": one.start_us,
        "end_us": one.end_us,
        "pieces": [] if status == "WITHDRAWN" else [_piece(piece) for piece in cutting.pieces(one.parts)],
    }
    return Emitted("DialogueRevised", device_id.encode(), record)


def _piece(piece: Piece) -> dict[str, Any]:
    source = piece.source
    return {
        "chunk_id": source.chunk_id,
        "chunk_start_us": source.start_us,
        "sha256": source.sha256,
        "stored_path": source.stored_path,
        "start_ms": piece.start_ms,
        "end_ms": piece.end_ms,
    }


def _forget(devices: dict[str, Device], device_id: str, event: Event, limits: Thresholds) -> list[Emitted]:
    """Forget what is old or too much. What is open there is closed first: nothing stays open for ever."""
    devices[device_id], emitted = _fit(device_id, devices[device_id], limits)
    others = [key for key in devices if key != device_id]
    while others and devices[others[0]].last_log_ms < event.log_time_ms - limits.forget_ms:
        key = others.pop(0)
        emitted += _last_words(key, devices.pop(key).dialogues)
    too_much = sum(one.size for one in devices.values()) - limits.total_bytes
    for key in others:  # the detail first: without a mark a chunk that comes again would be news
        if too_much > 0 and (devices[key].heard or devices[key].dialogues):
            device = devices[key]
            emitted += _last_words(key, device.dialogues)
            devices[key] = _only_marks(device, limits)
            too_much -= device.size - devices[key].size
    while others and too_much > 0:
        too_much -= devices.pop(others.pop(0)).size
    return emitted


def _only_marks(device: Device, limits: Thresholds) -> Device:
    """What stays of a device whose detail is too much; no id is given again: ids are made of known chunks."""
    marked = _marked(device, device.heard, limits)
    bare = Device(device.last_log_ms, marks=marked.marks)
    return msgspec.structs.replace(bare, size=_size(bare))


def _fit(device_id: str, device: Device, limits: Thresholds) -> tuple[Device, list[Emitted]]:
    """Forget of a device what became known first, until the rest is small enough."""
    emitted: list[Emitted] = []
    heard, dialogues = device.heard, device.dialogues
    size = _size(device)
    while size > limits.device_bytes and (len(heard) > 1 or dialogues):
        going = min(len(heard) - 1, len(heard) // 8 + 1)
        device = _marked(device, heard[:going], limits)
        heard = heard[going:]
        gone = sorted(dialogues, key=lambda one: one.touched_ms)[: len(dialogues) // 8 + 1]
        emitted += _last_words(device_id, gone)
        dialogues = tuple(one for one in dialogues if one not in gone)
        size = _size(msgspec.structs.replace(device, heard=heard, dialogues=dialogues))
    return msgspec.structs.replace(device, heard=heard, dialogues=dialogues, size=size), emitted


def _marked(device: Device, going: Iterable[Heard], limits: Thresholds) -> Device:
    """Keep a mark of each chunk with speech of which nothing else is kept; the oldest go where they are too many."""
    most = limits.device_bytes // MARKS_SHARE // MARK_BYTES * MARK_BYTES
    marks = device.marks + b"".join(_mark(one) for one in going if one.spans)
    return msgspec.structs.replace(device, marks=marks[-most:])


def _mark(heard: Heard) -> bytes:
    return hashlib.blake2b(heard.chunk_id.encode(), digest_size=MARK_BYTES).digest()


def _size(device: Device) -> int:
    return len(msgspec.msgpack.encode(device))


def _last_words(device_id: str, dialogues: Iterable[Dialogue]) -> list[Emitted]:
    still_open = (one for one in dialogues if one.revision and not one.closed)
    closed = (msgspec.structs.replace(one, closed=True, revision=one.revision + 1) for one in still_open)
    return [_revised(device_id, one, "CLOSED") for one in closed]
