"""What people say about dialogues, as events: reviews, corrections, wishes to analyse again. Appends by the Writer."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson
from fastapi import HTTPException

from api.corrected_words import aligned, regrouped
from schemas.envelope import KeyRing, seal
from schemas.errors import InvalidEvent, Overloaded, TransientFailure

MODEL: Final = "sales_dialogues"
RETRY_S: Final = "2"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Appends(Protocol):
    """What is needed of `producers.commands.Writer`."""

    async def append(  # noqa: D102 - see Writer
        self,
        event: str,
        key: str,
        record: Mapping[str, Any],
        *,
        event_id: str | None = None,
        await_model: str | None = None,
    ) -> bool: ...


def microseconds(moment: datetime) -> int:
    """UTC epoch microseconds."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(us: int) -> datetime:
    """The moment of UTC epoch microseconds."""
    return _EPOCH + timedelta(microseconds=us)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an analysis is to be made with, and who wants it; None: as it is configured."""

    by: str
    model: str | None = None
    prompt_version: str | None = None


@dataclass(frozen=True, slots=True)
class Commands:
    """Writes for a person; answers when the read model shows it, or soon after the log has it.

    Every method raises HTTPException 503 when the log did not take it.
    """

    writer: Appends | None
    keyring: KeyRing | None
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000

    async def review(
        self, dialogue: Mapping[str, Any], said: Mapping[str, Any], review_id: str | None = None
    ) -> dict[str, Any]:
        """Flag a dialogue; `said`: reason, notes, reviewer, corrected. The review as it will be read.

        Under the same id it is the same review, however often it stands in the log.
        """
        review_id, created_us = review_id or str(uuid.uuid4()), self.now_us()
        corrected = said["corrected"] or None
        record: dict[str, Any] = {
            "review_id": review_id,
            "dialogue_id": str(dialogue["dialogue_id"]),
            "reason": said["reason"],
            "corrected": None if corrected is None else orjson.dumps(corrected).decode(),
            "created_us": created_us,
            "words": self._sealed(dialogue, "ReviewWords", {name: said[name] for name in ("notes", "reviewer")}),
        }
        await self._append("DialogueReviewed", record)
        kept = {name: said[name] for name in ("reason", "notes", "reviewer")}
        ids = {"review_id": uuid.UUID(review_id), "dialogue_id": dialogue["dialogue_id"]}
        return {**ids, **kept, "created_at": from_microseconds(created_us), "flag": True, "corrected": corrected}

    async def resolve(self, review: Mapping[str, Any], is_resolved: bool) -> None:
        """Settle a review, or open it again."""
        ids = {name: str(review[name]) for name in ("review_id", "dialogue_id")}
        await self._append("ReviewResolved", {**ids, "resolved": is_resolved, "at_us": self.now_us()})

    async def correct(
        self, dialogue: Mapping[str, Any], text: str, by: str, correction_id: str | None = None
    ) -> dict[str, Any]:
        """Put a person's text in the place of what was heard. Under the same id it is the same correction."""
        correction_id, at_us = correction_id or str(uuid.uuid4()), self.now_us()
        record: dict[str, Any] = {
            "correction_id": correction_id,
            "dialogue_id": str(dialogue["dialogue_id"]),
            "at_us": at_us,
            "words": self._sealed(dialogue, "CorrectedWords", {"text": text, "corrected_by": by}),
        }
        seen = await self._append("TranscriptCorrected", record)
        return {
            "correction_id": correction_id,
            "dialogue_id": dialogue["dialogue_id"],
            "corrected_at": from_microseconds(at_us),
            "text": text,
            "visible": seen,
        }

    async def rerun(self, dialogue: Mapping[str, Any], wish: Wish, request_id: str | None = None) -> str:
        """Have a transcript analysed again, as it is corrected; the request's id. The same id is analysed once."""
        return await self.ask(await asyncio.to_thread(self.request, dialogue, wish, request_id))

    def request(self, dialogue: Mapping[str, Any], wish: Wish, request_id: str | None = None) -> dict[str, Any]:
        """An AnalysisRequested to `ask`; takes milliseconds of a long dialogue, so better in a thread."""
        words: dict[str, Any] = regrouped(dialogue["segments_json"] or [], dialogue["words_json"] or [])
        if dialogue["correction_id"] is not None:
            words = aligned(words, dialogue["text"])
        ids = {name: str(dialogue[name]) for name in ("dialogue_id", "device_id", "point_id", "register_id")}
        return {
            "request_id": request_id or str(uuid.uuid4()),
            **ids,
            "revision": dialogue["transcript_revision"],
            "start_us": microseconds(dialogue["start_ts"]),
            "end_us": microseconds(dialogue["end_ts"]),
            "language": dialogue["language"],
            "pieces": dialogue["transcript_pieces"],
            "model": wish.model,
            "prompt_version": wish.prompt_version,
            "requested_by": wish.by,
            "requested_us": self.now_us(),
            "words": self._sealed(dialogue, "TranscriptWords", words),
        }

    async def ask(self, request: Mapping[str, Any], *, wait: bool = True) -> str:
        """Append what `request` has made; its id."""
        await self._append("AnalysisRequested", request, wait=wait)
        return request["request_id"]

    def _sealed(self, dialogue: Mapping[str, Any], event: str, content: Mapping[str, Any]) -> dict[str, Any]:
        if self.keyring is None:
            raise unwritable("No keys to seal it with.")
        return seal(self.keyring, f"register/{dialogue['register_id']}", event, content)

    async def _append(self, event: str, record: Mapping[str, Any], *, wait: bool = True) -> bool:
        if self.writer is None:
            raise unwritable("Nothing can be written here: no log is connected.")
        try:
            return await self.writer.append(event, record["dialogue_id"], record, await_model=MODEL if wait else None)
        except (TransientFailure, Overloaded) as failure:
            raise unwritable(str(failure)) from failure
        except InvalidEvent as failure:
            raise HTTPException(413, str(failure)) from failure


def repeated(was: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was said under this Idempotency-Key before, if it is the same. Raises HTTPException 409 where it is not."""
    forgotten = was["forgotten"]
    if any(was[name] != said[name] for name in said if not (forgotten and was[name] in (None, ""))):
        raise HTTPException(409, "This id was used for another request")
    return was


def unwritable(why: str) -> HTTPException:
    """503: nothing was written."""
    return HTTPException(503, why, {"Retry-After": RETRY_S})
