"""Speech cut into dialogues: a pure function of what was recorded, in the recordings' own time. Knows no events.

Times are absolute (UTC epoch microseconds) but for a piece's place in its chunk (ms). The rules are those of
docs/decisions/0016.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec


class Source(msgspec.Struct, frozen=True, array_like=True):
    """The chunk a piece of speech is from; `end_us`: until when it was heard."""

    chunk_id: str
    start_us: int
    end_us: int
    sha256: str
    stored_path: str
    point_id: str
    register_id: str


class Piece(msgspec.Struct, frozen=True):
    """Speech without a pause, in one chunk."""

    source: Source
    start_ms: int
    end_ms: int

    @property
    def start_us(self) -> int:
        """When it begins."""
        return self.source.start_us + self.start_ms * 1000

    @property
    def end_us(self) -> int:
        """When it ends."""
        return self.source.start_us + self.end_ms * 1000


class Part(msgspec.Struct, frozen=True, array_like=True):
    """The pieces of one chunk, as they are remembered: start, end, start, end ..., in ms."""

    source: Source
    spans: tuple[int, ...]


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of time that a device has told of, with the speech in it as it was found: start, end, ... in ms."""

    chunk_id: str
    start_us: int
    end_us: int
    readable: bool
    spans: tuple[int, ...]


def in_time_order(pieces: Iterable[Piece]) -> list[Piece]:
    """Order pieces by time; the same pieces always come in the same order."""
    return sorted(pieces, key=lambda one: (one.start_us, one.end_us, one.source.chunk_id, one.start_ms))


def cut(pieces: Sequence[Piece], gap_us: int, longest_us: int) -> list[list[Piece]]:
    """Cut pieces, given in time order, into dialogues.

    A pause longer than the gap begins another, and so does a piece that would make it longer than the longest (a
    single longer piece stays whole). A pause of exactly the gap does not, unless the recording itself ended with it:
    the dialogue was over then.
    """
    dialogues: list[list[Piece]] = []
    last = None
    for piece in pieces:
        if last is None or _is_another(dialogues[-1][0], last, piece, gap_us, longest_us):
            dialogues.append([])
            last = piece
        dialogues[-1].append(piece)
        last = max(last, piece, key=lambda one: one.end_us)
    return dialogues


def _is_another(first: Piece, last: Piece, piece: Piece, gap_us: int, longest_us: int) -> bool:
    pause = piece.start_us - last.end_us
    over = pause == gap_us and piece.source != last.source and last.source.end_us - last.end_us >= gap_us
    return pause > gap_us or over or piece.end_us - first.start_us > longest_us


def parts(pieces: Iterable[Piece]) -> tuple[Part, ...]:
    """Give pieces the form in which they are remembered."""
    by_chunk = groupby(pieces, key=lambda one: one.source)
    return tuple(
        Part(source, tuple(ms for one in ones for ms in (one.start_ms, one.end_ms))) for source, ones in by_chunk
    )


def pieces(parts: Iterable[Part]) -> list[Piece]:
    """Give back what `parts` was given."""
    return [Piece(one.source, start, end) for one in parts for start, end in pairs(one.spans)]


def pairs(spans: Sequence[int]) -> list[tuple[int, int]]:
    """Start and end of each span."""
    return list(zip(spans[::2], spans[1::2], strict=True))


def trim_ms(later: Heard, others: Iterable[Heard], same_share: float) -> int:
    """How much of a chunk's beginning was recorded already, in ms: there the chunk that began earlier counts.

    Chunks may overlap because one sound is in both, or because a clock went back: it is one sound if where both were
    heard their speech agrees (common speech against speech of either) by at least `same_share`. Else both count.
    """
    known = [one for one in others if _is_before(one, later) and _agreement(one, later) >= same_share]
    return max((-((later.start_us - one.end_us) // 1000) for one in known), default=0)


def trimmed(piece: Piece, from_ms: int) -> Piece | None:
    """Leave out what of a piece lies before a moment of its chunk."""
    start = max(piece.start_ms, from_ms)
    return Piece(piece.source, start, piece.end_ms) if start < piece.end_ms else None


def _is_before(one: Heard, other: Heard) -> bool:
    overlaps = one.start_us < other.end_us and other.start_us < one.end_us
    return overlaps and (one.start_us, one.chunk_id) < (other.start_us, other.chunk_id)


def _agreement(one: Heard, other: Heard) -> float:
    start, end = max(one.start_us, other.start_us), min(one.end_us, other.end_us)
    mine, theirs = (_inside(heard, start, end) for heard in (one, other))
    both = shared(mine, theirs)
    either = _length(mine) + _length(theirs) - both
    return both / either if either else 0.0


def _inside(heard: Heard, start_us: int, end_us: int) -> list[tuple[int, int]]:
    spans = [(heard.start_us + start * 1000, heard.start_us + end * 1000) for start, end in pairs(heard.spans)]
    return [(max(start, start_us), min(end, end_us)) for start, end in spans if start < end_us and end > start_us]


def _length(spans: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in spans)


def shared(one: Iterable[tuple[int, int]], other: Sequence[tuple[int, int]]) -> int:
    """How much two lists of spans have in common."""
    return sum(max(0, min(end, stop) - max(start, begin)) for start, end in one for begin, stop in other)


def match(old: Sequence[Sequence[Part]], new: Sequence[Sequence[Part]]) -> dict[int, int]:
    """Which new dialogue carries on which old one: those with most speech in common first. New index -> old index."""
    carried: dict[int, int] = {}
    taken: set[int] = set()
    for (i, j), _ in sorted(common(old, new).items(), key=lambda one: (-one[1], one[0])):
        if j not in carried and i not in taken:
            carried[j] = i
            taken.add(i)
    return carried


def heir(old: Sequence[Part], new: Sequence[Sequence[Part]]) -> int | None:
    """Which new dialogue has most of an old one's speech; None: nobody has any."""
    found = common([old], new)
    return max(found, key=lambda pair: (found[pair], -pair[1]))[1] if found else None


def common(old: Sequence[Sequence[Part]], new: Sequence[Sequence[Part]]) -> dict[tuple[int, int], int]:
    """How many ms of speech an old and a new dialogue have in common, where they have any, by their indices."""
    by_chunk: dict[str, list[tuple[int, Part]]] = {}
    for j, after in enumerate(new):
        for part in after:
            by_chunk.setdefault(part.source.chunk_id, []).append((j, part))
    found: dict[tuple[int, int], int] = {}
    for i, before in enumerate(old):
        for part in before:
            for j, other in by_chunk.get(part.source.chunk_id, ()):
                if both := shared(pairs(part.spans), pairs(other.spans)):
                    found[i, j] = found.get((i, j), 0) + both
    return found


def heard_until(heard: Iterable[Heard], from_us: int, hole_us: int) -> int:
    """Until when the device was heard without a hole longer than `hole_us`, from a moment on."""
    until = from_us
    for one in sorted((one for one in heard if one.end_us > from_us), key=lambda one: one.start_us):
        if one.start_us - until > hole_us:
            break
        until = max(until, one.end_us)
    return until
