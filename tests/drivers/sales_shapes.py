"""Objects of seed 002's API: their keys and types (contract 002, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DAILY = {
    "date": str, "point_id": str, "dialogues_total": int, "dialogues_analyzed": int, "dialogues_skipped": int,
    "dialogues_error": int, "attempted_yes": int, "attempted_no": int, "attempted_uncertain": int,
    "accepted_count": int, "rejected_count": int, "unclear_count": int, "attempted_rate": float, "avg_quality": float,
    "accepted_rate": float, "quality_distribution": dict, "top_categories": list, "hourly": list,
}  # fmt: skip
HOUR = {
    "hour": int, "dialogues_total": int, "attempted_yes": int, "attempted_no": int, "attempted_uncertain": int,
    "avg_quality": float, "accepted_count": int, "rejected_count": int,
}  # fmt: skip
SUMMARY = {
    "dialogue_id": str, "start_ts": str, "end_ts": str, "quality_score": int, "attempted": str, "categories": list,
    "customer_reaction": str, "closing_question": bool, "summary": str, "text_snippet": str, "point_id": str,
    "point_name": (str, type(None)), "register_id": str, "register_name": (str, type(None)),
}  # fmt: skip
DETAIL = {name: kind for name, kind in SUMMARY.items() if name != "text_snippet"} | {
    "evidence_quotes": list, "confidence": (float, type(None)), "review_status": str, "text": str,
}  # fmt: skip
REVIEW = {
    "review_id": str, "dialogue_id": str, "created_at": str, "reviewer": (str, type(None)), "flag": bool,
    "reason": str, "notes": (str, type(None)), "corrected": (dict, type(None)),
}  # fmt: skip
REVIEW_ROW = REVIEW | {
    "dialogue_start_ts": str, "dialogue_end_ts": str, "point_id": str, "review_status": str, "attempted": str,
    "quality_score": int, "categories": list, "customer_reaction": str, "text_snippet": str,
}  # fmt: skip
DEVICE = {
    "device_id": str, "point_id": str, "register_id": str, "is_enabled": bool, "created_at": str,
    "last_seen_at": (str, type(None)), "point_name": (str, type(None)), "register_name": (str, type(None)),
}  # fmt: skip
USER = {
    "user_id": str, "username": str, "full_name": str, "is_admin": bool, "is_active": bool, "created_at": str,
    "last_login_at": (str, type(None)),
}  # fmt: skip
EXPORT = {
    "dialogue_id": str, "point_id": str, "register_id": str, "start_ts": str, "end_ts": str, "review_status": str,
    "transcript": str, "llm_analysis": dict, "review": dict,
}  # fmt: skip
CSV_HEADER = [
    "dialogue_id", "point_id", "start_ts", "end_ts", "review_status", "transcript", "llm_attempted",
    "llm_quality_score", "llm_categories", "llm_customer_reaction", "llm_summary", "review_reason", "review_notes",
    "corrected_attempted", "corrected_quality_score", "corrected_categories", "corrected_customer_reaction",
]  # fmt: skip


def shaped(found: Mapping[str, Any], shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object itself when it has exactly these keys and types."""
    assert found.keys() == shape.keys()
    wrong = {name: found[name] for name, kind in shape.items() if not isinstance(found[name], kind)}
    assert not wrong
    return found
