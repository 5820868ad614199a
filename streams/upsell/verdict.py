"""The verdict on a dialogue as an analyser gives it, and the reading of an answer that claims to be one. Pure."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

import msgspec

CATEGORIES: Final = ("coffee_size", "dessert", "pastry", "add_ons", "syrup", "combo", "takeaway", "other")
QUOTES: Final = 3
QUOTE_CHARACTERS: Final = 100
SUMMARY_CHARACTERS: Final = 200

Category = Literal["coffee_size", "dessert", "pastry", "add_ons", "syrup", "combo", "takeaway", "other"]


class BadAnswer(ValueError):
    """The text is no verdict; says why."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One analyser's view. `evidence_quotes` are what it claims to have read, not yet looked for in the transcript."""

    attempted: Literal["yes", "no", "uncertain"]
    quality_score: Annotated[int, msgspec.Meta(ge=0, le=3)]
    categories: list[Category]
    closing_question: bool
    customer_reaction: Literal["accepted", "rejected", "unclear"]
    evidence_quotes: list[str]
    summary: str
    confidence: float | None


def read(text: str | bytes) -> Verdict:
    """A verdict from JSON: wrong values are refused, too long ones are cut (contract: quotes, summary, confidence).

    Raises:
        BadAnswer: it is not JSON, a key is missing or a value is none of those allowed.
    """
    try:
        found = msgspec.json.decode(text, type=Verdict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(f"The answer is not a verdict: {error}.") from error
    if found.confidence is None or not math.isfinite(found.confidence):
        raise BadAnswer("The answer has no confidence.")
    return tidy(found)


def tidy(verdict: Verdict) -> Verdict:
    """The verdict with its texts cut to their lengths, its confidence in 0..1 and no category twice."""
    confidence = verdict.confidence
    return msgspec.structs.replace(
        verdict,
        categories=list(dict.fromkeys(verdict.categories)),
        evidence_quotes=[quote[:QUOTE_CHARACTERS] for quote in verdict.evidence_quotes[:QUOTES]],
        summary=verdict.summary[:SUMMARY_CHARACTERS],
        confidence=None if confidence is None else min(1.0, max(0.0, confidence)),
    )


SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "attempted", "quality_score", "categories", "closing_question", "customer_reaction", "evidence_quotes",
        "summary", "confidence",
    ],
    "properties": {
        "attempted": {"type": "string", "enum": ["yes", "no", "uncertain"]},
        "quality_score": {"type": "integer", "enum": [0, 1, 2, 3]},
        "categories": {"type": "array", "items": {"type": "string", "enum": list(CATEGORIES)}},
        "closing_question": {"type": "boolean"},
        "customer_reaction": {"type": "string", "enum": ["accepted", "rejected", "unclear"]},
        "evidence_quotes": {"type": "array", "items": {"type": "string"}},
        "summary": {"type": "string"},
        "confidence": {"type": "number"},
    },
}  # fmt: skip
"""The strict JSON schema that a model is held to (OpenAI's structured output)."""
