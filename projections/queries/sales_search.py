"""Dialogues by time, place, verdict and words, in pages by key. Reads `sales_dialogues`, `spoken_texts`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

HIT: Final = ("\x01", "\x02")
"""Stand before and after every found word in `marked`."""
_QUERY: Final = """
    (websearch_to_tsquery('russian', translate(%(text)s, 'ёЁ', 'еЕ')) || websearch_to_tsquery('english', %(text)s))
"""
_MARKED: Final = (
    "ts_headline('russian', translate(text, 'ёЁ', 'еЕ'), "
    + _QUERY
    + ", E'HighlightAll=true, StartSel=\x01, StopSel=\x02')"
)
_COLUMNS: Final = """
    dialogue_id, device_id, point_id, register_id, start_ts, end_ts, revision, cut, asr_status, asr_pass, language,
    analysis_status, analyser, analysis_model, analysis_prompt_version, verdict_attempted AS attempted,
    verdict_quality_score AS quality_score, verdict_categories AS categories,
    verdict_closing_question AS closing_question, verdict_customer_reaction AS customer_reaction, summary, confidence,
    review_status, reviews, correction_id IS NOT NULL AS text_corrected, text_forgotten, left(text, 200) AS text_snippet
"""
# What a person said counts before what the analyser said. Not by COALESCE, whose result has no statistics: PostgreSQL
# then takes every verdict for rare and joins everything instead of walking along the index by time.
_SAID: Final = "(corrected_{0} {1} OR (corrected_{0} IS NULL AND {0} {1}))"
_TESTS: Final = {
    "first": "start_ts >= %(first)s",
    "end": "start_ts < %(end)s",
    "point_id": "point_id = %(point_id)s",
    "register_id": "register_id = %(register_id)s",
    "device_id": "device_id = %(device_id)s",
    "attempted": _SAID.format("attempted", "= %(attempted)s"),
    "quality": _SAID.format("quality_score", "= %(quality)s"),
    "min_quality": _SAID.format("quality_score", ">= %(min_quality)s"),
    "category": "verdict_categories ? %(category)s",
    "reaction": _SAID.format("customer_reaction", "= %(reaction)s"),
    "analysis_status": "analysis_status = %(analysis_status)s",
    "review_status": "review_status = %(review_status)s",
    "after_ts": "(start_ts, dialogue_id) < (%(after_ts)s, %(after_id)s)",
    # The first finds rows by the index, the second looks whether the text that counts is among what was found.
    "text": f"dialogue_id IN (SELECT dialogue_id FROM spoken_texts WHERE search @@ {_QUERY}) AND search @@ {_QUERY}",  # noqa: S608
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dialogues; None does not matter. Verdicts are with people's corrections. `after_*`: the last row before."""

    first: datetime | None = None
    end: datetime | None = None
    point_id: UUID | None = None
    register_id: UUID | None = None
    device_id: UUID | None = None
    attempted: str | None = None
    quality: int | None = None
    min_quality: int | None = None
    category: str | None = None
    reaction: str | None = None
    analysis_status: str | None = None
    review_status: str | None = None
    text: str | None = None
    after_ts: datetime | None = None
    after_id: UUID | None = None
    limit: int = 50


def statement(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """The question with only the tests that are asked for, and its parameters."""
    parameters = {name: getattr(wanted, name) for name in wanted.__slots__}
    tests = [test for name, test in _TESTS.items() if parameters[name] is not None]
    marked = f", {_MARKED} AS marked" if wanted.text is not None else ""
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    # Words are marked in the rows of the page only, not in everything that is found.
    page = (
        f"SELECT {_COLUMNS}, text FROM sales_dialogues{where}"  # noqa: S608 - made of constants
        " ORDER BY start_ts DESC, dialogue_id DESC LIMIT %(limit)s"
    )
    return f"SELECT *{marked} FROM ({page}) AS page ORDER BY start_ts DESC, dialogue_id DESC", parameters  # noqa: S608


async def page(connection: Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """One page, the latest start first; `marked` is the whole text with HIT around found words, if words are asked."""
    sql, parameters = statement(wanted)
    return await (await connection.execute(sql, parameters)).fetchall()  # pyright: ignore[reportArgumentType]
