"""Reading strangers' recordings: which formats are opened, what is made of broken packets and changing rates.

Only formats that carry their sound themselves: a playlist would make the decoder open other files and addresses. For
processes with limits; knows PyAV only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import av
from av.error import FFmpegError

FORMATS: Final = "ogg,wav,w64,flac,mp3,aac,aiff,amr,caf,au,matroska,webm,mov,mp4,m4a,3gp"
OPENING: Final[dict[str, Any]] = {"options": {"format_whitelist": FORMATS}, "metadata_errors": "ignore"}
"""How `av.open` is to be called."""


def frames(container: Any) -> Iterator[av.AudioFrame]:
    """What can be decoded of the first audio stream: broken packets are left out, a broken container ends it."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        try:
            yield from packet.decode()
        except FFmpegError:
            continue


def resampled(decoded: Iterable[av.AudioFrame], rate: int) -> Iterator[av.AudioFrame]:
    """The same as mono 16 bit frames. Rate or channels may change on the way (chained Ogg)."""
    shape: tuple[str, str, int] | None = None
    resampler = av.AudioResampler("s16", "mono", rate)
    for frame in decoded:
        new = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape is not None and new != shape:
            yield from _filled(resampler.resample(None))
            resampler = av.AudioResampler("s16", "mono", rate)
        shape = new
        yield from _filled(resampler.resample(frame))
    if shape is not None:
        yield from _filled(resampler.resample(None))


def _filled(made: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    return (frame for frame in made if frame.samples)
