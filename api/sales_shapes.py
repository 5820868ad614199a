"""Answers of sales audio in the original's shapes: keys, rounding, times. Pure but for `Response`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from fastapi import Request, Response

from api.answers import json_answer

Row = Mapping[str, Any]
Names = Mapping[UUID, str]
_COUNTS: Final = {
    "dialogues_total": "transcribed",
    "dialogues_analyzed": "analyzed",
    "dialogues_skipped": "skipped",
    "dialogues_error": "errors",
    "attempted_yes": "yes",
    "attempted_no": "no",
    "attempted_uncertain": "uncertain",
    "accepted_count": "accepted",
    "rejected_count": "rejected",
    "unclear_count": "unclear",
}
_REVIEW: Final = ("review_id", "dialogue_id", "created_at", "reviewer", "flag", "reason", "notes", "corrected")


def answer(payload: Any, status: int = 200) -> Response:
    """JSON with times in UTC and Z, as the original writes them."""
    return Response(
        orjson.dumps(payload, option=orjson.OPT_UTC_Z), status_code=status, media_type="application/json",
        headers={"Cache-Control": "no-cache"},
    )  # fmt: skip


def tagged(request: Request, payload: Any, *, after: str | None = None) -> Response:
    """The same with an ETag, and a Link to the next page."""
    return json_answer(request, orjson.Fragment(orjson.dumps(payload, option=orjson.OPT_UTC_Z)), after=after)


def total(rows: Iterable[Row], name: str) -> int:
    """Sum of one count over rows."""
    return sum(int(row[name]) for row in rows)


def rate(part: int, whole: int, digits: int = 4) -> float:
    """A share, rounded; 0 of nothing."""
    return round(part / whole, digits) if whole else 0.0


def quality(rows: Sequence[Row]) -> dict[str, int]:
    """How many dialogues have each score."""
    return {str(score): total(rows, f"quality_{score}") for score in range(4)}


def mean_quality(rows: Sequence[Row]) -> float:
    """Mean score of analysed dialogues, unrounded; 0 without any."""
    analyzed = total(rows, "analyzed")
    points = sum(score * count for score, count in enumerate(quality(rows).values()))
    return points / analyzed if analyzed else 0.0


def counts(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts and shares of a range."""
    summed = {name: total(rows, column) for name, column in _COUNTS.items()}
    decided = summed["accepted_count"] + summed["rejected_count"]
    return {
        **summed,
        "attempted_rate": rate(summed["attempted_yes"], summed["dialogues_analyzed"]),
        "avg_quality": round(mean_quality(rows), 2),
        "accepted_rate": rate(summed["accepted_count"], decided),
        "quality_distribution": quality(rows),
    }


def daily(date: str, point_id: UUID | None, rows: Sequence[Row], categories: Sequence[Row]) -> dict[str, Any]:
    """The original's day: `rows` are its hours in UTC."""
    return {
        "date": date,
        "point_id": point_id,
        **counts(rows),
        "top_categories": [dict(row) for row in categories],
        "hourly": [_hour(row) for row in rows if row["analyzed"]],
    }


def _hour(row: Row) -> dict[str, Any]:
    return {
        "hour": row["hour"],
        "dialogues_total": row["analyzed"],
        "attempted_yes": row["yes"],
        "attempted_no": row["no"],
        "attempted_uncertain": row["uncertain"],
        "avg_quality": mean_quality([row]),
        "accepted_count": row["accepted"],
        "rejected_count": row["rejected"],
    }


def named(row: Row, names: Names) -> dict[str, Any]:
    """A row with the names of its point and register, null where nobody gave one."""
    return {**row, "point_name": names.get(row["point_id"]), "register_name": names.get(row["register_id"])}


def review(row: Row) -> dict[str, Any]:
    """A review as it stands."""
    return {name: row[name] for name in _REVIEW}


def review_row(row: Row) -> dict[str, Any]:
    """A review with its dialogue."""
    return {**row, "categories": row["categories"] or []}
