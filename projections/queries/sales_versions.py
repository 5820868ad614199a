"""Analyses by model and prompt: which there are, how two of them differ, what they cost. Reads `analysis_runs`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from projections.queries.sales_figures import WITHIN, Range, asked

if TYPE_CHECKING:
    from projections.queries.database import Connection

Version = tuple[str, str]
"""(model, prompt version)."""
_DIALOGUES: Final = f"SELECT dialogue_id, start_ts FROM sales_dialogues WHERE {WITHIN}"  # noqa: S608
_VERSIONS: Final = f"""
    SELECT r.analyser, r.model, r.prompt_version, count(DISTINCT r.dialogue_id) AS dialogues,
           count(*) FILTER (WHERE r.outcome = 'DONE') AS runs, sum(r.cost_micros)::bigint AS cost_micros,
           min(r.finished_at) AS first_at, max(r.finished_at) AS last_at
    FROM ({_DIALOGUES}) d JOIN analysis_runs r ON r.dialogue_id = d.dialogue_id
    WHERE r.outcome = 'DONE' GROUP BY 1, 2, 3 ORDER BY 8 DESC, 2, 3
"""  # noqa: S608 - made of constants
_SIDE: Final = """
    (SELECT DISTINCT ON (dialogue_id) * FROM analysis_runs
     WHERE outcome = 'DONE' AND model = %({0}_model)s AND prompt_version = %({0}_prompt)s
       AND dialogue_id IN (SELECT dialogue_id FROM d)
     ORDER BY dialogue_id, finished_at DESC, run)
"""
_NAMES: Final = ("attempted", "quality_score", "categories", "closing_question", "customer_reaction", "summary",
                 "confidence", "cost_micros", "elapsed_s")  # fmt: skip
_PAIRS: Final = f"""
    WITH d AS MATERIALIZED ({_DIALOGUES})
    SELECT d.dialogue_id, d.start_ts, {", ".join(f"{side}.{name} AS {side}_{name}" for side in "ab" for name in _NAMES)}
    FROM d JOIN {_SIDE.format("a")} a ON a.dialogue_id = d.dialogue_id
    JOIN {_SIDE.format("b")} b ON b.dialogue_id = d.dialogue_id
    ORDER BY d.start_ts DESC, d.dialogue_id DESC LIMIT %(limit)s
"""  # noqa: S608 - made of constants
_COSTS: Final = """
    SELECT (finished_at AT TIME ZONE %(zone)s)::date AS day, analyser, model, prompt_version,
           count(*) FILTER (WHERE outcome = 'DONE') AS analyses, count(*) FILTER (WHERE outcome = 'ERROR') AS failures,
           sum(prompt_tokens)::bigint AS prompt_tokens, sum(completion_tokens)::bigint AS completion_tokens,
           sum(cost_micros)::bigint AS cost_micros
    FROM analysis_costs WHERE finished_at >= %(first)s AND finished_at < %(end)s
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 3, 4, 2
"""
_FOR_GOOD: Final = "asr_status = 'DONE' AND transcript_final AND NOT text_forgotten"
_TRANSCRIBED: Final = f"""
    SELECT dialogue_id FROM sales_dialogues WHERE {WITHIN} AND {_FOR_GOOD}
    ORDER BY start_ts, dialogue_id LIMIT %(limit)s
"""  # noqa: S608 - made of constants
_WORDS: Final = f"""
    SELECT dialogue_id, device_id, point_id, register_id, start_ts, end_ts, transcript_revision, language,
           transcript_pieces, text, correction_id, segments_json, words_json
    FROM sales_dialogues WHERE dialogue_id = ANY(%s) AND {_FOR_GOOD} ORDER BY start_ts, dialogue_id
"""  # noqa: S608 - made of constants


async def versions(connection: Connection, where: Range) -> list[dict[str, Any]]:
    """Which models and prompts have analysed dialogues of the range, the newest first."""
    return await (await connection.execute(_VERSIONS, asked(where))).fetchall()


async def pairs(connection: Connection, where: Range, a: Version, b: Version, limit: int) -> list[dict[str, Any]]:
    """Dialogues that both versions have analysed, with what each said (`a_...`, `b_...`), the latest start first."""
    sides = {"a_model": a[0], "a_prompt": a[1], "b_model": b[0], "b_prompt": b[1]}
    return await (await connection.execute(_PAIRS, asked(where) | sides | {"limit": limit})).fetchall()  # pyright: ignore[reportArgumentType]


async def costs(connection: Connection, first: datetime, end: datetime, zone: str) -> list[dict[str, Any]]:
    """Per day of the zone, model and prompt: analyses, failures, tokens, cost in millionths of a US dollar."""
    return await (await connection.execute(_COSTS, {"first": first, "end": end, "zone": zone})).fetchall()


async def transcribed(connection: Connection, where: Range, limit: int) -> list[UUID]:
    """The range's dialogues that are transcribed for good, the earliest start first."""
    rows = await (await connection.execute(_TRANSCRIBED, asked(where) | {"limit": limit})).fetchall()
    return [row["dialogue_id"] for row in rows]


async def words(connection: Connection, dialogue_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """What an analysis needs of those that are (still) transcribed for good, the earliest start first."""
    return await (await connection.execute(_WORDS, (list(dialogue_ids),))).fetchall()
