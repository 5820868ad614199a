"""From speech.analyses and speech.reviews: what analysers and people say of a dialogue. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast
from uuid import UUID, uuid5

import orjson

from projections.sales_opened import Opened
from projections.sales_rows import Row, Tables, moment, uuid_of
from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE, analysis_id, analysis_task

_RANKS: Final = ("STARTED", "ERROR", "SKIPPED", "DONE")
"""A verdict beats an error, of equal ones the first stays: a repeat changes nothing, a redriven failure can succeed.

Of two verdicts on one revision that on its accurate pass stays, as its transcript does.
"""
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "attempted": ("yes", "no", "uncertain"),
    "customer_reaction": ("accepted", "rejected", "unclear"),
}
CORRECTABLE: Final = ("attempted", "quality_score", "categories", "closing_question", "customer_reaction")


def run_of(body: Mapping[str, Any]) -> str:
    """Which want an analysis answers: a request, or the final transcript of a revision."""
    return body["request_id"] or f"revision/{body['revision']}"


def analysis_started(tables: Tables, event: Opened) -> None:
    """An analyser has taken it."""
    if tables["analysis_runs"].get(event.dialogue_id, run_of(event.body)) is None:
        started_at = moment(event.body["started_us"])
        _put(tables, event, "STARTED", {"started_at": started_at, "model": event.body["model"]})


def dialogue_analysed(tables: Tables, event: Opened) -> None:
    """A verdict, with its costs."""
    body = event.body
    if not 0 <= body["quality_score"] <= 3:
        raise InvalidEvent(f"quality_score {body['quality_score']} is not 0 to 3.")
    quotes: list[dict[str, Any]] = list(event.words["quotes"]) if event.words else []
    same = (
        "analyser", "model", "prompt_version", "attempted", "quality_score", "closing_question", "customer_reaction",
        "quotes_dropped", "confidence", "prompt_tokens", "completion_tokens", "cost_micros", "elapsed_s",
    )  # fmt: skip
    verdict: Row = {
        **{name: body[name] for name in same},
        "analysis_id": uuid_of(body["analysis_id"], "analysis_id"),
        "categories": list(body["categories"]),
        "quotes": quotes,
        "evidence_quotes": [quote["quote"] for quote in quotes],
        "summary": event.words["summary"] if event.words else "",
    }
    _end(tables, event, "DONE", verdict)
    _pay(tables, event, "DONE")


def analysis_skipped(tables: Tables, event: Opened) -> None:
    """A row as the original's prefilter writes it."""
    skipped: Row = {
        "analysis_id": uuid5(NAMESPACE, f"skipped/{event.dialogue_id}/{run_of(event.body)}"),
        "attempted": "uncertain",
        "quality_score": 0,
        "categories": [],
        "closing_question": False,
        "customer_reaction": "unclear",
        "quotes": [],
        "evidence_quotes": [],
        "summary": f"Skipped: {event.body['reason']}",
    }
    _end(tables, event, "SKIPPED", skipped)


def analysis_failed(tables: Tables, event: Opened) -> None:
    """No usable answer, which may have cost something all the same."""
    same = ("model", "error", "prompt_tokens", "completion_tokens", "cost_micros")
    _end(tables, event, "ERROR", {name: event.body[name] for name in same})
    _pay(tables, event, "ERROR")


def _end(tables: Tables, event: Opened, outcome: str, columns: Row) -> None:
    known = tables["analysis_runs"].get(event.dialogue_id, run_of(event.body))
    said_id = columns.get("analysis_id") if outcome == "DONE" else None
    if known is not None and _rank(event, known["outcome"], known["analysis_id"]) >= _rank(event, outcome, said_id):
        return
    finished_at = moment(event.body["finished_us"])
    started_at = known["started_at"] if known else None
    _put(tables, event, outcome, {"started_at": started_at, "finished_at": finished_at, **columns})


def _rank(event: Opened, outcome: str, verdict_id: UUID | None) -> tuple[int, bool]:
    """Of two verdicts on a revision that on its accurate pass: a second pass that had failed was done again."""
    body = event.body
    accurate = analysis_id(analysis_task(body["dialogue_id"], body["revision"], "ACCURATE"))
    return _RANKS.index(outcome), str(verdict_id) == accurate


def _put(tables: Tables, event: Opened, outcome: str, columns: Row) -> None:
    runs = tables["analysis_runs"]
    empty: Row = dict.fromkeys(runs.table.columns)
    key: Row = {"dialogue_id": event.dialogue_id, "run": run_of(event.body), "revision": event.body["revision"]}
    runs.put({**empty, **columns, **key, "outcome": outcome, "forgotten": event.forgotten, **event.place})


def _pay(tables: Tables, event: Opened, outcome: str) -> None:
    body, costs = event.body, tables["analysis_costs"]
    run, finished_at = run_of(body), moment(body["finished_us"])
    if costs.get(event.dialogue_id, run, outcome, finished_at) is None:
        key: Row = {"dialogue_id": event.dialogue_id, "run": run, "outcome": outcome, "finished_at": finished_at}
        said: Row = {name: body.get(name) for name in costs.table.columns if name not in key}
        costs.put({**said, **key})


def dialogue_reviewed(tables: Tables, event: Opened) -> None:
    """Flags the dialogue; what it corrects holds until another review corrects it."""
    body, reviews = event.body, tables["dialogue_reviews"]
    review_id = uuid_of(body["review_id"], "review_id")
    if reviews.get(review_id) is not None:
        return
    corrected = parse_corrected(body["corrected"])
    reviews.put(
        {
            "review_id": review_id,
            "dialogue_id": event.dialogue_id,
            "created_at": moment(body["created_us"]),
            "reviewer": event.words["reviewer"] if event.words else None,
            "flag": True,
            "reason": body["reason"],
            "notes": event.words["notes"] if event.words else None,
            "corrected": corrected,
            "forgotten": event.forgotten,
            "resolved": None,
            **event.place,
        }
    )
    state = _state(tables, event.dialogue_id)
    tables["review_states"].put({**state, **(corrected or {}), "status": "FLAGGED", "reviews": state["reviews"] + 1})


def review_resolved(tables: Tables, event: Opened) -> None:
    """Settled, or opened again."""
    body, resolutions, reviews = event.body, tables["review_resolutions"], tables["dialogue_reviews"]
    review_id, at = uuid_of(body["review_id"], "review_id"), moment(body["at_us"])
    if resolutions.get(review_id, at, body["resolved"]) is not None:
        return
    key: Row = {"review_id": review_id, "at": at, "resolved": body["resolved"]}
    resolutions.put({**key, "dialogue_id": event.dialogue_id, "kafka_offset": event.record.offset})
    if (review := reviews.get(review_id)) is not None:
        reviews.put({**review, "resolved": body["resolved"]})
    state = _state(tables, event.dialogue_id)
    tables["review_states"].put({**state, "status": "RESOLVED" if body["resolved"] else "FLAGGED"})


def transcript_corrected(tables: Tables, event: Opened) -> None:
    """Every correction is kept; the last one is the text."""
    corrections, correction_id = tables["transcript_corrections"], uuid_of(event.body["correction_id"], "correction_id")
    if corrections.get(correction_id) is not None:
        return
    row: Row = {
        "correction_id": correction_id,
        "dialogue_id": event.dialogue_id,
        "corrected_at": moment(event.body["at_us"]),
        "text": event.words["text"] if event.words else "",
        "forgotten": event.forgotten,
        "logged_at": event.logged_at,
    }
    by = event.words["corrected_by"] if event.words else None
    corrections.put({**row, "corrected_by": by, **event.place})
    tables["corrected_texts"].put(row)


def _state(tables: Tables, dialogue_id: UUID) -> Row:
    states = tables["review_states"]
    empty: Row = {**dict.fromkeys(states.table.columns), "dialogue_id": dialogue_id, "status": "NONE", "reviews": 0}
    return states.get(dialogue_id) or empty


def parse_corrected(text: str | None) -> dict[str, Any] | None:
    """What a review corrects; None for nothing. Raises InvalidEvent for anything but the known fields and values."""
    if text is None:
        return None
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent("`corrected` is not JSON.") from error
    if not isinstance(parsed, dict):
        raise InvalidEvent("`corrected` is not a JSON object.")
    corrected = {name: value for name, value in cast("dict[str, Any]", parsed).items() if value is not None}
    wrong = [name for name, value in corrected.items() if not _is_right(name, value)]
    if wrong:
        raise InvalidEvent(f"`corrected` has unknown fields or values: {', '.join(sorted(wrong))}.")
    return corrected or None


def _is_right(name: str, value: Any) -> bool:
    if name in _ALLOWED:
        return value in _ALLOWED[name]
    if name == "quality_score":
        return type(value) is int and 0 <= value <= 3
    if name == "closing_question":
        return isinstance(value, bool)
    return name == "categories" and isinstance(value, list) and all(isinstance(item, str) for item in value)
