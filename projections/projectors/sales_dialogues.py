"""Read model `sales_dialogues`: dialogues with their transcripts, verdicts, reviews and corrections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from projections import sales_ddl, sales_speech_folds, sales_verdict_folds
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.sales_opened import Opened, open_event
from projections.sales_rows import Loaded, Row, Tables, load, write
from projections.sales_tables import CHECKSUMS, FOLDED, PIECES
from projections.store import Transaction
from schemas.record import Record

FOLDS: Final[Mapping[str, Callable[[Tables, Opened], None]]] = {
    "DialogueRevised": sales_speech_folds.dialogue_revised,
    "TranscriptionStarted": sales_speech_folds.transcription_started,
    "TranscriptionFailed": sales_speech_folds.transcription_failed,
    "TranscriptProduced": sales_speech_folds.transcript_produced,
    "AnalysisRequested": sales_speech_folds.analysis_requested,
    "AnalysisStarted": sales_verdict_folds.analysis_started,
    "DialogueAnalysed": sales_verdict_folds.dialogue_analysed,
    "AnalysisSkipped": sales_verdict_folds.analysis_skipped,
    "AnalysisFailed": sales_verdict_folds.analysis_failed,
    "DialogueReviewed": sales_verdict_folds.dialogue_reviewed,
    "ReviewResolved": sales_verdict_folds.review_resolved,
    "TranscriptCorrected": sales_verdict_folds.transcript_corrected,
}
tables = sales_ddl.tables


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch, opened."""

    events: list[Opened]
    pieces: list[tuple[Opened, list[Row]]]

    def __bool__(self) -> bool:
        return bool(self.events)


def fold(tables: Tables, events: Iterable[Opened]) -> None:
    """Apply events in log order to what is known."""
    for event in events:
        FOLDS[event.name](tables, event)


def newest_pieces(heads: Loaded, pieces: Iterable[tuple[Opened, list[Row]]]) -> dict[UUID, list[Row]]:
    """Of the dialogues that this batch changes, the pieces of the event that their head came from."""
    found: dict[UUID, list[Row]] = {}
    for event, rows in pieces:
        head = heads.get(event.dialogue_id)
        is_source = head is not None and head["revision"] == event.body["revision"]
        if is_source and (event.dialogue_id,) in heads.changed and event.dialogue_id not in found:
            found[event.dialogue_id] = rows
    return found


class SalesDialogues:
    """Keeps one row a dialogue and topic, and whatever was said before."""

    def __init__(self, target: Target) -> None:
        self._keyring = target.keyring

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Open the envelopes, and try every event on its own, so that a bad one is found here."""
        opened = [one for event in events if (one := open_event(event, self._keyring))]
        for event in opened:
            fold({table.name: Loaded(table) for table in FOLDED}, [event])
        pieces = [(one, sales_speech_folds.piece_rows(one)) for one in opened if one.name == "DialogueRevised"]
        return Prepared(opened, pieces)

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Fold the batch into what is stored of its dialogues."""
        owners = sorted({event.dialogue_id for event in prepared.events})
        known = {table.name: load(transaction, table, owners) for table in FOLDED} if owners else {}
        fold(known, prepared.events)
        for loaded in known.values():
            write(transaction, loaded.table, loaded.changes())
        if pieces := newest_pieces(known["dialogue_heads"], prepared.pieces) if known else {}:
            transaction.run("DELETE FROM dialogue_segments WHERE dialogue_id = ANY(%s)", sorted(pieces))
            write(transaction, PIECES, [row for dialogue in sorted(pieces) for row in pieces[dialogue]])
        return Effects(
            [Reply(event.record) for event in prepared.events],
            dialogues={str(event.dialogue_id) for event in prepared.events},
            rows=sum(len(loaded.changed) for loaded in known.values()),
        )

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


READ_MODEL = ReadModel(
    name="sales_dialogues",
    topics=("speech.dialogues", "speech.transcripts", "speech.analyses", "speech.reviews"),
    ddl=tables,
    views=sales_ddl.VIEWS,
    projector=SalesDialogues,
    checksums=CHECKSUMS,
)
