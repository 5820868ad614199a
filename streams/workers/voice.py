"""The capability `voice`: where there is speech in a chunk. For a child process: fetches, decodes, listens.

Request: `chunk_id`, `stored_path`, `sha256` of the claim and `claimed_ms`, the length that its times claim.
Answer: `audio_ms` and the segments' `start_ms`, `end_ms`, from the recording's first sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from streams.workers.audio_decode import BYTES_PER_MS, pcm_blocks
from streams.workers.audio_source import AudioSource
from streams.workers.audio_speech import Rule, segments, verdicts

LONGEST_S: Final = 7_200
"""No chunk may hold more: the largest upload, 10 MiB, is an hour at the recorder's 24 kbit/s."""
SLACK_MS: Final = 60_000
"""A chunk may hold this much more than it claims, and twice what it claims: clocks jump, a bomb does not stop there."""

Request = Mapping[str, Any]
Answer = dict[str, Any]


def open_worker(options: Mapping[str, Any]) -> Callable[[Request], Answer]:
    """Give the worker. Options: `folder`, `base_url`, `internal_token`, `longest_s`, and those of `audio_speech.Rule`.

    The worker raises BadInput for what is no recording, and NotNow when the audio cannot be fetched.
    """
    source = AudioSource(options.get("folder"), options.get("base_url"), options.get("internal_token"))
    rule, longest_ms = Rule.of(options), round(options.get("longest_s", LONGEST_S) * 1000)

    def work(request: Request) -> Answer:
        return detect(source.fetch(request), rule, limit_ms(request["claimed_ms"], longest_ms))

    return work


def limit_ms(claimed_ms: int, longest_ms: int = LONGEST_S * 1000) -> int:
    """How much sound a chunk may hold that claims this length."""
    return min(longest_ms, max(2 * claimed_ms, claimed_ms + SLACK_MS))


def detect(data: bytes, rule: Rule, most_ms: int) -> Answer:
    """Find speech in a recording of any format that holds at most `most_ms`; BadInput says why it cannot be done."""
    length = _Length()
    found = segments(verdicts(length.of(pcm_blocks(data, most_ms)), rule), rule)
    return {
        "audio_ms": length.bytes // BYTES_PER_MS,
        "start_ms": [start for start, _ in found],
        "end_ms": [end for _, end in found],
    }


class _Length:
    """Counts what passes through."""

    bytes = 0

    def of(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self.bytes += len(block)
            yield block
