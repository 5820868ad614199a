"""ISO 8601 texts as devices send them -> UTC epoch integers. Pure but for the machine's local zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)
_parse = datetime.fromisoformat


class UnreadableTime(ValueError):
    """A text that is no ISO 8601 time; `index` is its place in the post."""

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index = index
        self.text = text


def epoch_milliseconds(texts: Sequence[str], zone: tzinfo | None) -> tuple[list[int], bool]:
    """UTC epoch milliseconds of every text, the fraction cut off, and whether any came without a UTC offset.

    Every Z counts as +00:00. A time without offset is read in `zone` (None: the machine's local zone).

    Raises:
        UnreadableTime: for the first text that Python's ISO parser refuses.
    """
    try:
        # An aware minus a naive time is a TypeError: the fast way is for posts whose times all have their offset.
        return [(_parse(text.replace("Z", "+00:00")) - EPOCH) // _MILLISECOND for text in texts], False
    except (ValueError, TypeError):
        return _one_by_one(texts, zone)


def epoch_millisecond(text: str, zone: tzinfo | None) -> tuple[int, bool]:
    """UTC epoch milliseconds of one text and whether it came without a UTC offset, as `epoch_milliseconds` says them.

    Raises:
        UnreadableTime: it is no time.
    """
    try:
        return (_parse(text.replace("Z", "+00:00")) - EPOCH) // _MILLISECOND, False
    except (ValueError, TypeError):
        time, naive = _aware(text, zone, 0)
        return (time - EPOCH) // _MILLISECOND, naive


def epoch_microseconds(text: str, zone: tzinfo | None) -> int:
    """UTC epoch microseconds of one text, read as `epoch_milliseconds` does.

    Raises:
        UnreadableTime: it is no time.
    """
    return (_aware(text, zone, 0)[0] - EPOCH) // _MICROSECOND


def _one_by_one(texts: Sequence[str], zone: tzinfo | None) -> tuple[list[int], bool]:
    read = [_aware(text, zone, index) for index, text in enumerate(texts)]
    return [(time - EPOCH) // _MILLISECOND for time, _ in read], any(naive for _, naive in read)


def _aware(text: str, zone: tzinfo | None, index: int) -> tuple[datetime, bool]:
    try:
        time = _parse(text.replace("Z", "+00:00"))
        if time.tzinfo is not None:
            return time, False
        return (time.astimezone() if zone is None else time.replace(tzinfo=zone)), True
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableTime(index, text) from error
