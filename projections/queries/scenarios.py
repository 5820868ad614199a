"""Scenarios and what they saw. Reads `scenarios`, `scenario_history`, `scenario_predictions`; JSON comes as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from projections.queries.database import Connection

Row = dict[str, Any]
Place = tuple[int, str, int]
"""Where a page of the history ended: microseconds, topic, offset."""

_SCENARIO: Final = """
SELECT id, status::text AS status, predict::text AS predict, created_at, updated_at, runner_id, epoch, attempt, frame,
       frames, reason, source, settings::text AS settings
FROM scenarios
"""
_AT: Final = "'epoch'::timestamptz + %(us)s::bigint * interval '1 microsecond'"
_DECIDED: Final = "SELECT scenario_id, at, event, details::text AS details, topic, kafka_offset FROM scenario_history"
_SEEN: Final = """
SELECT scenario_id, at, 'PredictionsRecorded' AS event, json_build_object('epoch', epoch, 'runner_id', runner_id,
       'first_frame', first_frame, 'last_frame', last_frame)::text AS details, topic, kafka_offset
FROM scenario_predictions
"""
_OF: Final = f"scenario_id = %(id)s AND (at, topic, kafka_offset) > ({_AT}, %(topic)s, %(offset)s)"
_NEXT: Final = "ORDER BY at, topic, kafka_offset LIMIT %(limit)s"
_PREDICTIONS: Final = """
SELECT p.epoch, p.runner_id, p.first_frame, p.last_frame, p.video_ms, p.detections::text AS detections, p.at
FROM scenario_predictions p JOIN scenarios s ON s.id = p.scenario_id AND p.epoch >= s.run_epoch
WHERE p.scenario_id = %(id)s AND p.first_frame > %(after_frame)s
ORDER BY p.first_frame, p.epoch LIMIT %(limit)s
"""


async def scenario(connection: Connection, scenario_id: int) -> Row | None:
    """One scenario, or None."""
    rows = await _all(connection, f"{_SCENARIO} WHERE id = %(id)s", {"id": scenario_id})
    return rows[0] if rows else None


async def scenarios(connection: Connection, status: str | None, after_id: int, limit: int) -> list[Row]:
    """Scenarios in the order of their ids, of one status when it is given."""
    wanted = "" if status is None else "AND status = %(status)s::text::public.scenario_status"
    asked = {"status": status, "after_id": after_id, "limit": limit}
    return await _all(connection, f"{_SCENARIO} WHERE id > %(after_id)s {wanted} ORDER BY id LIMIT %(limit)s", asked)


async def history(
    connection: Connection, scenario_id: int, after: Place | None, limit: int, *, with_predictions: bool = False
) -> list[Row]:
    """What happened to a scenario, oldest first; `with_predictions`: and who looked at which frames."""
    us, topic, offset = after or (0, "", 0)
    asked = {"id": scenario_id, "us": us, "topic": topic, "offset": offset, "limit": limit}
    found = f"({_DECIDED} WHERE {_OF} {_NEXT})"
    if with_predictions:
        found += f" UNION ALL ({_SEEN} WHERE {_OF} {_NEXT})"
    ordered = f"SELECT * FROM ({found}) AS happened {_NEXT}"  # noqa: S608 - own names
    return await _all(connection, ordered, asked)


async def predictions(connection: Connection, scenario_id: int, after_frame: int, limit: int) -> list[Row]:
    """What was seen in frames after this one in the newest run, in their order."""
    asked = {"id": scenario_id, "after_frame": after_frame, "limit": limit}
    return await _all(connection, _PREDICTIONS, asked)


def place_of(row: Row) -> Place:
    """Where a row stands in the history."""
    passed = row["at"] - datetime(1970, 1, 1, tzinfo=UTC)
    return passed // timedelta(microseconds=1), row["topic"], row["kafka_offset"]


async def _all(connection: Connection, statement: str, asked: dict[str, Any]) -> list[Row]:
    return await (await connection.execute(cast("Any", statement), asked)).fetchall()
