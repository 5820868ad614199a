"""GET /api/v1/exports/reviews: what people said about verdicts, as JSON or CSV (seed 002)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from api.exports import Rows, encoded, walk
from api.routes.analytics import utc
from projections.queries import sales_reviews
from projections.queries.database import Database

MOST: Final = 100_000
"""Entries of one export; more want a shorter range."""
PAGE: Final = 1000
"""Entries read, and held, at a time: each has a whole transcript."""
_LLM: Final = (
    "attempted", "quality_score", "categories", "closing_question", "customer_reaction", "summary", "evidence_quotes",
    "confidence",
)  # fmt: skip
_DIALOGUE: Final = ("dialogue_id", "point_id", "register_id", "start_ts", "end_ts", "review_status", "transcript")
_HEADER: Final = (
    "dialogue_id", "point_id", "start_ts", "end_ts", "review_status", "transcript", "llm_attempted",
    "llm_quality_score", "llm_categories", "llm_customer_reaction", "llm_summary", "review_reason", "review_notes",
    "corrected_attempted", "corrected_quality_score", "corrected_categories", "corrected_customer_reaction",
)  # fmt: skip
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def build(database: Database) -> APIRouter:
    """The route over one database; the caller guards it."""
    router = APIRouter(prefix="/api/v1/exports", tags=["sales (seed 002)"])

    @router.get("/reviews", summary="Export reviews")
    async def export_reviews(
        first: Annotated[date, Query(alias="from", description="First UTC day of dialogues.")],
        last: Annotated[date, Query(alias="to", description="Last UTC day, included.")],
        kind: Annotated[str, Query(alias="format", pattern="^(json|csv)$")] = "json",
    ) -> Response:
        """Dialogues that were ever flagged, by start; one entry for each review."""
        range_ = partial(sales_reviews.export, first=utc(first).first, end=utc(last).end)

        async def read(after: Any, limit: int) -> Rows:
            return await database.read(partial(range_, after=after, limit=limit))

        pages = walk(read, sales_reviews.place, None, MOST, PAGE)
        # Read before the answer starts, so that a failure still has its status.
        head: Rows = await anext(pages, None) or ()
        encoder, media = (ReviewsCsv(), "text/csv") if kind == "csv" else (ReviewsJson(), "application/json")
        name = f"reviews_{first}_{last}.{kind}"
        headers = {"Content-Disposition": f"attachment; filename={name}"}
        return StreamingResponse(encoded(encoder, head, pages), media_type=media, headers=headers)

    return router


class ReviewsJson:
    """An array, indented by two."""

    def __init__(self) -> None:
        self._is_empty = True

    def page(self, rows: Rows) -> bytes:
        """Its next entries."""
        if not rows:
            return b""
        text = orjson.dumps([_entry(row) for row in rows], option=orjson.OPT_INDENT_2)
        start, self._is_empty = (b"[" if self._is_empty else b","), False
        return start + text[1:-2]  # between the brackets, without the line break before the last

    def end(self) -> bytes:
        """Its bracket."""
        return b"[]" if self._is_empty else b"\n]"


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    review = {name: row[name] for name in ("review_id", "created_at", "reason", "notes", "corrected")}
    return {
        **{name: row[name] for name in _DIALOGUE},
        "llm_analysis": {name: row[name] for name in _LLM} if row["analysis_id"] else None,
        "review": review if row["review_id"] else None,
    }


class ReviewsCsv:
    """RFC 4180; what is missing is empty, and a cell that a spreadsheet would run as a formula gets an apostrophe."""

    def __init__(self) -> None:
        self._sink = io.StringIO(newline="")
        self._writer = csv.writer(self._sink, lineterminator="\r\n")
        self._writer.writerow(_HEADER)

    def page(self, rows: Rows) -> bytes:
        """Its next lines; the header comes with the first."""
        self._writer.writerows([_cell(value) for value in _line(row)] for row in rows)
        text = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return text.encode()

    def end(self) -> bytes:
        """CSV has no footer."""
        return b""


def _line(row: Mapping[str, Any]) -> list[Any]:
    corrected = row["corrected"] or {}
    return [
        *(row[name] for name in _DIALOGUE if name != "register_id"),
        *(row[name] for name in ("attempted", "quality_score", "categories", "customer_reaction", "summary")),
        row["reason"], row["notes"],
        *(corrected.get(name) for name in ("attempted", "quality_score", "categories", "customer_reaction")),
    ]  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    text = str(value)
    return "'" + text if text.startswith(_FORMULAS) else text
