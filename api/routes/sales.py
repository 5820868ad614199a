"""GET /v1/sales/...: days of a zone, dialogues by time, place, verdict and words, one dialogue with everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field

from api import cursors, sales_overview, sales_shapes
from api.parameters import Text
from api.routes.reviews import Attempted, Reaction, Status
from api.sales_commands import from_microseconds, microseconds
from api.sales_days import Days, DaysQuery
from api.sales_quotes import placed, snippet
from projections.queries import sales_dialogue, sales_figures, sales_names, sales_search
from projections.queries.database import Connection, Database
from projections.queries.sales_figures import VERDICT, Range

MODEL: Final = "sales_dialogues"
_VERDICT: Final = ("attempted", "quality_score", "categories", "closing_question", "customer_reaction")
_PLACE: Final = ("dialogue_id", "device_id", "point_id", "register_id", "start_ts", "end_ts", "created_at", "revision",
                 "cut", "topic", "kafka_partition", "kafka_offset")  # fmt: skip
_TRANSCRIPT: Final = ("transcript_id", "language", "asr_pass", "text", "heard_text", "correction_id", "corrected_at",
                      "audio_s", "avg_logprob", "no_speech_prob", "second_pass_reason", "transcribed_at")  # fmt: skip


class OverviewQuery(DaysQuery):
    """Parameters of GET /v1/sales/overview."""

    point: UUID | None = Field(None, description="Only this point of sale.")
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


class ListQuery(DaysQuery):
    """Parameters of GET /v1/sales/dialogues."""

    point: UUID | None = None
    register_id: UUID | None = Field(None, alias="register")
    device: UUID | None = None
    attempted: Attempted | None = None
    quality: int | None = Field(None, ge=0, le=3)
    min_quality: int | None = Field(None, ge=0, le=3)
    category: Text | None = None
    reaction: Reaction | None = None
    analysis: Literal["PENDING", "PROCESSING", "DONE", "SKIPPED", "ERROR"] | None = None
    review: Status | None = None
    text: Annotated[Text, Field(max_length=500)] | None = Field(
        None, description='Words in any form, Russian or English; "in this order", or, -without.'
    )
    limit: int = Field(50, ge=1, le=200, description="Rows a page, the latest first.")
    after: str | None = Field(None, description="Cursor of the next page, from the Link header.")
    as_of: Text | None = Field(None, description="Name of a view of the past; see /v1/as-of.")


def build(database: Database, zone: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> APIRouter:
    """The routes over one database; days are those of `zone` where none is asked for. The caller guards them."""
    router = APIRouter(prefix="/v1/sales", tags=["sales"])
    _add_overview(router, database, zone, now)
    _add_list(router, database, zone, now)

    @router.get("/dialogues/{dialogue_id}", summary="One dialogue with everything", response_model=dict[str, Any])
    async def get_dialogue(request: Request, dialogue_id: UUID, as_of: Text | None = None) -> Response:
        """Transcript with segments and words, verdict with quotes in their places, audio, and all that came before."""
        read = partial(_everything, dialogue_id=dialogue_id)
        row, parts = await database.read(read, model=MODEL, as_of=as_of)
        names = await database.read(sales_names.names)
        return sales_shapes.tagged(request, detailed(sales_shapes.named(row, names), parts, zone))

    return router


def _add_overview(router: APIRouter, database: Database, zone: str, now: Callable[[], datetime]) -> None:
    @router.get("/overview", summary="Figures of days", response_model=dict[str, Any])
    async def get_overview(request: Request, query: Annotated[OverviewQuery, Query()]) -> Response:
        """Per day, by hour, top categories and quality of a range, with people's corrections.

        Of one day, `hours` are all its hours (23 or 25 where clocks change); of several, hours of the clock.
        """
        days = query.days(zone, now())
        read = partial(_figures, where=range_of(days, query.point))
        hours, categories = await database.read(read, model=MODEL, as_of=query.as_of)
        return sales_shapes.tagged(request, sales_overview.overview(days, hours, categories))


def _add_list(router: APIRouter, database: Database, zone: str, now: Callable[[], datetime]) -> None:
    @router.get("/dialogues", summary="Dialogues, the latest first", response_model=dict[str, Any])
    async def get_dialogues(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
        """A page; with `text`, a `snippet` with the found words. Without days: of all times."""
        wanted = wanted_by(query, zone, now())
        read = partial(sales_search.page, wanted=wanted)
        rows = await database.read(read, model=MODEL, as_of=query.as_of)
        names = await database.read(sales_names.names)
        kept = rows[: query.limit]
        last = kept[-1] if len(rows) > len(kept) else None
        after = cursors.write(microseconds(last["start_ts"]), str(last["dialogue_id"])) if last else None
        listed = [_listed(sales_shapes.named(row, names), query.text is not None) for row in kept]
        return sales_shapes.tagged(request, {"count": len(listed), "dialogues": listed}, after=after)


def wanted_by(query: ListQuery, zone: str, now: datetime) -> sales_search.Wanted:
    """What the queries want of a list; one row more than a page, to know whether another follows."""
    has_days = query.from_day is not None or query.to_day is not None
    days = query.days(zone, now) if has_days else None
    after: Any = cursors.read(query.after, int, UUID)
    return sales_search.Wanted(
        first=days.start if days else None,
        end=days.end if days else None,
        point_id=query.point,
        register_id=query.register_id,
        device_id=query.device,
        attempted=query.attempted,
        quality=query.quality,
        min_quality=query.min_quality,
        category=query.category,
        reaction=query.reaction,
        analysis_status=query.analysis,
        review_status=query.review,
        text=query.text,
        after_ts=_moment(after[0]) if after else None,
        after_id=after[1] if after else None,
        limit=query.limit + 1,
    )


def _moment(us: int) -> datetime:
    try:
        return from_microseconds(us)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if us > 0 else datetime.min.replace(tzinfo=UTC)


def _listed(row: Mapping[str, Any], searched: bool) -> dict[str, Any]:
    hidden = ("text", "marked")
    shown = {name: value for name, value in row.items() if name not in hidden}
    if searched:
        shown["snippet"] = snippet(row["text"] or "", row["marked"] or "", sales_search.HIT)
    return shown


def range_of(days: Days, point_id: UUID | None = None) -> Range:
    """What the queries want of days."""
    return Range(days.start, days.end, days.zone, point_id)


def detailed(row: Mapping[str, Any], parts: Mapping[str, list[dict[str, Any]]], zone: str) -> dict[str, Any]:
    """One dialogue, its parts under names of their own."""
    text = row["text"] or ""
    versions = [{**version, "quotes": placed(version["quotes"] or [], text)} for version in parts["versions"]]
    current = next((version for version in versions if version["current"]), None)
    corrected = {name: row[f"corrected_{name}"] for name in _VERDICT if row[f"corrected_{name}"] is not None}
    is_transcribed = row["transcript_id"] is not None
    return {
        **{name: row[name] for name in (*_PLACE, "point_name", "register_name")},
        "zone": zone,
        "asr_status": row["asr_status"],
        "asr_error_message": row["asr_error_message"] if row["asr_status"] == "FAILED" else None,
        "analysis_status": row["analysis_status"],
        "analysis_error_message": row["analysis_error_message"],
        "review_status": row["review_status"],
        "transcript": _transcript(row) if is_transcribed else None,
        "segments": row["segments_json"] or [],
        "words": row["words_json"] or [],
        "analysis": current,
        "corrected": corrected or None,
        "verdict": {name: row[f"verdict_{name}"] for name in _VERDICT},
        "audio": f"/v1/sales/dialogues/{row['dialogue_id']}/audio",
        "pieces": [_piece(piece) for piece in parts["pieces"]],
        "revisions": parts["revisions"],
        "versions": versions,
        "reviews": parts["reviews"],
        "corrections": parts["corrections"],
    }


def _transcript(row: Mapping[str, Any]) -> dict[str, Any]:
    transcript = {name: row[name] for name in _TRANSCRIPT}
    return transcript | {
        "revision": row["transcript_revision"],
        "final": row["transcript_final"],
        "model": row["asr_model"],
        "worker": row["asr_worker"],
        "elapsed_s": row["asr_elapsed_s"],
        "corrected": row["correction_id"] is not None,
        "forgotten": row["text_forgotten"],
    }


def _piece(piece: Mapping[str, Any]) -> dict[str, Any]:
    """With where its audio is, and when it was said."""
    said_us = microseconds(piece["chunk_start_ts"]) + 1000 * piece["start_ms"]
    return {**piece, "said_ts": from_microseconds(said_us), "audio": f"/v1/sales/chunks/{piece['chunk_id']}/audio"}


async def _figures(connection: Connection, where: Range) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    hours = await sales_figures.hours(connection, where, VERDICT)
    return hours, await sales_figures.categories(connection, where, VERDICT)


async def _everything(connection: Connection, dialogue_id: UUID) -> tuple[dict[str, Any], dict[str, Any]]:
    row = await sales_dialogue.row(connection, dialogue_id)
    if row is None:
        heir = await sales_dialogue.merged_into(connection, dialogue_id)
        detail = "Dialogue not found" if heir is None else f"Dialogue not found: its speech belongs to {heir} now"
        raise HTTPException(404, detail)
    return row, await sales_dialogue.parts(connection, dialogue_id)
