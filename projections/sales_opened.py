"""Events of a dialogue as the folds want them: ids checked, envelopes opened. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from projections.read_model import Event
from projections.sales_rows import Row, moment, storable_all, uuid_of
from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten
from schemas.record import Record

SEALED: Final[Mapping[str, str]] = {
    "TranscriptProduced": "TranscriptWords",
    "DialogueAnalysed": "AnalysisWords",
    "DialogueReviewed": "ReviewWords",
    "TranscriptCorrected": "CorrectedWords",
}
"""What is inside whose envelope. AnalysisRequested repeats a transcript that is known: it stays closed."""
READ: Final = frozenset(
    {
        *SEALED,
        "DialogueRevised",
        "TranscriptionStarted",
        "TranscriptionFailed",
        "AnalysisRequested",
        "AnalysisStarted",
        "AnalysisSkipped",
        "AnalysisFailed",
        "ReviewResolved",
    }
)


@dataclass(frozen=True, slots=True)
class Opened:
    """One event; `words` is what its envelope held, None where it has none or the key is gone (`forgotten`)."""

    name: str
    dialogue_id: UUID
    body: Mapping[str, Any]
    record: Record
    words: Mapping[str, Any] | None = None
    forgotten: bool = False

    @property
    def logged_at(self) -> datetime:
        """When the log had it, by the broker's clock."""
        return moment(self.record.timestamp_ms * 1000)

    @property
    def place(self) -> Row:
        """Where it stands in the log."""
        return {
            "topic": self.record.topic,
            "kafka_partition": self.record.partition,
            "kafka_offset": self.record.offset,
        }


def open_event(event: Event, keyring: KeyRing | None) -> Opened | None:
    """Check and unseal; None for an event that concerns no row.

    Raises:
        InvalidEvent: an id that is none, or an envelope that was altered. ValueError: there is no key ring.
    """
    if event.name not in READ:
        return None
    body = storable_all({name: value for name, value in event.body.items() if name != "words"})
    dialogue_id = uuid_of(body["dialogue_id"], "dialogue_id")
    inside = SEALED.get(event.name)
    if inside is None:
        return Opened(event.name, dialogue_id, body, event.record)
    if keyring is None:
        raise ValueError("sales_dialogues needs a key ring")
    words = unseal(keyring, event.body["words"], inside)
    if isinstance(words, Forgotten):
        return Opened(event.name, dialogue_id, body, event.record, forgotten=True)
    return Opened(event.name, dialogue_id, body, event.record, storable_all(words))
