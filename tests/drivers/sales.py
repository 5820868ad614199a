"""Events of sales audio made of the golden examples: a dialogue, what was heard, what analysers and people say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from schemas import examples
from schemas.catalogue import latest
from schemas.envelope import KeyRing, seal

RING = KeyRing({"k1": bytes(range(32))}, "k1")
POINT, REGISTER, DEVICE = (f"0f9d3c1e-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
NOON = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
HELLO = "Здравствуйте! Один капучино, пожалуйста."
OFFER = "Десерт к кофе не желаете?"
TEXT = f"{HELLO} {OFFER} Yes, a cheesecake please."

Body = dict[str, Any]
Saying = tuple[str, Body]
"""(event, body)."""


def made_id(name: object) -> str:
    """A UUID that is always the same for one name."""
    return str(uuid5(NAMESPACE_URL, str(name)))


def dialogue(name: object, revision: int = 1, start_us: int = NOON, **changes: Any) -> Saying:
    """A revision of a dialogue of one minute with one piece."""
    base = examples.load("DialogueRevised")
    piece = base["pieces"][0] | {"chunk_id": made_id(f"chunk {name}"), "chunk_start_us": start_us}
    span: Body = {"start_us": start_us, "end_us": start_us + 60_000_000, "pieces": [piece]}
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "status": "CLOSED"}
    return "DialogueRevised", base | span | key | changes


def words(text: str = TEXT) -> Body:
    """Sentences as segments of two seconds, evenly filled with words."""
    parts = [part.strip() for part in text.replace("!", "!|").replace("?", "?|").split("|") if part.strip()]
    segments: list[Body] = []
    for number, part in enumerate(parts):
        said = part.split()
        step = 2.0 / len(said)
        timed = [
            {"start": 2.0 * number + i * step, "end": 2.0 * number + (i + 1) * step, "word": word, "probability": 0.9}
            for i, word in enumerate(said)
        ]
        span = {"id": number, "start": 2.0 * number, "end": 2.0 * number + 2, "text": part}
        segments.append({**span, "avg_logprob": -0.25, "no_speech_prob": 0.01, "words": timed})
    return {"text": " ".join(parts), "segments": segments}


def sealed(event: str, content: Mapping[str, Any], ring: KeyRing = RING) -> Body:
    """An envelope of the example's register."""
    return seal(ring, f"register/{REGISTER}", event, content)


def transcript(
    name: object, revision: int = 1, text: str = TEXT, *, ring: KeyRing = RING, start_us: int = NOON, **changes: Any
) -> Saying:
    """A final transcript of the fast pass."""
    base = examples.load("TranscriptProduced")
    _, spoken = dialogue(name, revision, start_us)
    same = {key: spoken[key] for key in ("dialogue_id", "revision", "start_us", "end_us", "pieces")}
    more: Body = {"finished_us": start_us + 70_000_000 + revision, "avg_logprob": -0.25, "no_speech_prob": 0.01}
    return "TranscriptProduced", base | same | more | changes | {"words": sealed("TranscriptWords", words(text), ring)}


def started(name: object, revision: int = 1, **changes: Any) -> Saying:
    """A worker takes it."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "started_us": NOON + 65_000_000}
    return "TranscriptionStarted", examples.load("TranscriptionStarted") | key | changes


def failed(name: object, revision: int = 1, **changes: Any) -> Saying:
    """All attempts failed."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "failed_us": NOON + 69_000_000}
    return "TranscriptionFailed", examples.load("TranscriptionFailed") | key | {"error": "no audio"} | changes


def quote(text: str = TEXT, said: str = OFFER) -> Body:
    """A quote where it stands in the text, in the second segment."""
    span = {"segment_id": 1, "start_s": 2.0, "end_s": 4.0, "start_us": NOON + 3_200_000}
    return {"quote": said, "position": text.index(said), "length": len(said), **span}


def analysed(
    name: object, revision: int = 1, request: str | None = None, *, ring: KeyRing = RING, **changes: Any
) -> Saying:
    """A verdict: an offer of a dessert, accepted."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "request_id": request}
    own: Body = {"analysis_id": made_id(f"analysis {name} {revision} {request}"), "finished_us": NOON + 80_000_000}
    said = {"summary": "Продавец предложил десерт.", "quotes": changes.pop("quotes", [quote()])}
    body = examples.load("DialogueAnalysed") | key | own | changes
    return "DialogueAnalysed", body | {"words": sealed("AnalysisWords", said, ring)}


def analysis_started(name: object, revision: int = 1, request: str | None = None) -> Saying:
    """An analyser takes it."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "request_id": request}
    return "AnalysisStarted", examples.load("AnalysisStarted") | key | {"started_us": NOON + 75_000_000}


def skipped(name: object, revision: int = 1, **changes: Any) -> Saying:
    """The prefilter keeps it."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "reason": "transcript_too_short (3 chars)"}
    return "AnalysisSkipped", examples.load("AnalysisSkipped") | key | changes


def analysis_failed(name: object, revision: int = 1, request: str | None = None, **changes: Any) -> Saying:
    """No usable answer."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "request_id": request, "error": "nonsense"}
    return "AnalysisFailed", examples.load("AnalysisFailed") | key | changes


def requested(name: object, request: str, revision: int = 1, **changes: Any) -> Saying:
    """Somebody wants it analysed again."""
    key: Body = {"dialogue_id": made_id(name), "revision": revision, "request_id": request}
    body = examples.load("AnalysisRequested") | key | changes
    return "AnalysisRequested", body | {"words": sealed("TranscriptWords", words())}


def reviewed(name: object, review: str, corrected: str | None = None, **changes: Any) -> Saying:
    """A person flags it."""
    content = {"notes": changes.pop("notes", "плохо слышно"), "reviewer": changes.pop("reviewer", None)}
    key: Body = {"dialogue_id": made_id(name), "review_id": made_id(review), "corrected": corrected}
    body = examples.load("DialogueReviewed") | key | changes
    return "DialogueReviewed", body | {"words": sealed("ReviewWords", content)}


def resolved(name: object, review: str, at_us: int, is_resolved: bool = True) -> Saying:
    """A review is settled, or opened again."""
    key: Body = {"dialogue_id": made_id(name), "review_id": made_id(review), "at_us": at_us, "resolved": is_resolved}
    return "ReviewResolved", key


def corrected(name: object, correction: str, text: str, at_us: int = NOON + 90_000_000) -> Saying:
    """A person writes what was really said."""
    content = {"text": text, "corrected_by": "Анна"}
    key: Body = {"correction_id": made_id(correction), "dialogue_id": made_id(name), "at_us": at_us}
    return "TranscriptCorrected", key | {"words": sealed("CorrectedWords", content)}


def topic_of(event: str) -> str:
    """The topic of an event."""
    return latest(event).topic
