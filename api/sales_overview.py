"""Figures of days in a zone: per day, by hour, over the whole range. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from api.sales_days import Days, hours_of, midnight
from api.sales_shapes import Row, counts, total

_MORE = ("dialogues", "not_transcribed", "flagged")


def overview(days: Days, rows: Sequence[Row], categories: Sequence[Row]) -> dict[str, Any]:
    """All of a range: `rows` are its hours with dialogues, by local day, hour and offset from UTC."""
    by_day: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        by_day[row["day"]].append(row)
    return {
        "from": days.first,
        "to": days.last,
        "zone": days.zone,
        "start_ts": days.start,
        "end_ts": days.end,
        **_figures(rows),
        "top_categories": [dict(row) for row in categories],
        "days": [_day(day, days.zone, by_day.get(day, [])) for day in days.each()],
        "hours": _day_hours(days.first, days.zone, rows) if days.first == days.last else _clock_hours(rows),
    }


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    return {name: total(rows, name) for name in _MORE} | counts(rows)


def _day(day: date, zone: str, rows: Sequence[Row]) -> dict[str, Any]:
    length = midnight(day + timedelta(days=1), zone) - midnight(day, zone)
    return {"date": day, "start_ts": midnight(day, zone), "hours": length / timedelta(hours=1), **_figures(rows)}


def _day_hours(day: date, zone: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Every hour of one day, 23 to 25 of them; the one that comes twice is told apart by its offset."""
    found: dict[tuple[int, int], Row] = {(row["hour"], row["utc_offset"]): row for row in rows}
    made: list[dict[str, Any]] = []
    for hour in hours_of(day, zone):
        row = found.get((hour.hour, hour.utc_offset))
        local = hour.start.astimezone(ZoneInfo(zone)).isoformat()
        place: Mapping[str, Any] = {"hour": hour.hour, "utc_offset": hour.utc_offset, "start_ts": hour.start}
        made.append({**place, "local": local, **_figures([row] if row else [])})
    return made


def _clock_hours(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Of several days: by what the clock on the wall showed."""
    by_hour: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_hour[row["hour"]].append(row)
    return [{"hour": hour, "utc_offset": None, **_figures(by_hour.get(hour, []))} for hour in range(24)]


def compared(pairs: Sequence[Mapping[str, Any]], shown: int) -> dict[str, Any]:
    """How two versions' verdicts on the same dialogues differ; the first `shown` dialogues that they disagree on."""
    both = len(pairs)
    same = {
        name: sum(pair[f"a_{name}"] == pair[f"b_{name}"] for pair in pairs)
        for name in ("attempted", "quality_score", "customer_reaction", "closing_question")
    }
    same["categories"] = sum(set(pair["a_categories"]) == set(pair["b_categories"]) for pair in pairs)
    apart = [pair["b_quality_score"] - pair["a_quality_score"] for pair in pairs]
    disagreed = [pair for pair in pairs if _differ(pair)]
    return {
        "dialogues": both,
        "agreement": {name: {"same": n, "rate": round(n / both, 4) if both else None} for name, n in same.items()},
        "quality_difference": round(sum(apart) / both, 4) if both else None,
        "a": _side(pairs, "a"),
        "b": _side(pairs, "b"),
        "disagreements": len(disagreed),
        "shown": [dict(pair) for pair in disagreed[:shown]],
    }


def _differ(pair: Mapping[str, Any]) -> bool:
    names = ("attempted", "quality_score", "customer_reaction")
    return any(pair[f"a_{name}"] != pair[f"b_{name}"] for name in names)


def _side(pairs: Sequence[Mapping[str, Any]], side: str) -> dict[str, Any]:
    both = len(pairs)
    scores = [pair[f"{side}_quality_score"] for pair in pairs]
    return {
        "attempted": {
            word: sum(pair[f"{side}_attempted"] == word for pair in pairs) for word in ("yes", "no", "uncertain")
        },
        "quality_distribution": {str(score): scores.count(score) for score in range(4)},
        "avg_quality": round(sum(scores) / both, 4) if both else None,
        "cost_micros": sum(pair[f"{side}_cost_micros"] or 0 for pair in pairs),
        "elapsed_s": round(sum(pair[f"{side}_elapsed_s"] or 0.0 for pair in pairs), 3),
    }
