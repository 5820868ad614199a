"""A server of OpenAI's chat interface, scripted: each answer is a verdict, a status, an exception or any text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
from openai import AsyncOpenAI

VERDICT: dict[str, Any] = {
    "attempted": "yes",
    "quality_score": 2,
    "categories": ["dessert"],
    "closing_question": False,
    "customer_reaction": "accepted",
    "evidence_quotes": ["Не желаете десерт?"],
    "summary": "Предложен десерт.",
    "confidence": 0.9,
}

Script = Sequence[dict[str, Any] | str | int | Exception]


class LanguageModel:
    """Answers in the order of the script, its last entry for ever; remembers what it was asked."""

    def __init__(self, script: Script, *, tokens: tuple[int, int] = (1000, 100)) -> None:
        self._script, self._tokens = list(script), tokens
        self.asked: list[dict[str, Any]] = []

    def client(self) -> AsyncOpenAI:
        """A client whose requests end here."""
        transport = httpx2.MockTransport(self._answer)
        http = httpx2.AsyncClient(transport=transport)
        return AsyncOpenAI(api_key="k", base_url="http://model.invalid/v1", http_client=http, max_retries=0)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(json.loads(request.content))
        scripted = self._script[min(len(self.asked), len(self._script)) - 1]
        if isinstance(scripted, Exception):
            raise scripted
        if isinstance(scripted, int):
            return httpx2.Response(scripted, json={"error": {"message": f"status {scripted}"}})
        if isinstance(scripted, str) and scripted.startswith("400 "):
            return httpx2.Response(400, json={"error": {"message": scripted}})
        text = scripted if isinstance(scripted, str) else json.dumps(scripted, ensure_ascii=False)
        return httpx2.Response(200, json=completion(text, self._tokens))


def completion(text: str, tokens: tuple[int, int]) -> dict[str, Any]:
    """What the chat interface says around an answer."""
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }


def request(**changes: Any) -> dict[str, Any]:
    """What the processor asks the capability for."""
    return {
        "task_id": "analysis/d/1",
        "text": "Один капучино. Не желаете десерт? Да.",
        "segments": [{"id": 0, "start": 0.0, "end": 4.0, "text": "Не желаете десерт?", "words": []}],
        "language": "ru",
        "duration_s": 20.0,
        "point_id": "p",
        "register_id": "r",
        "model": None,
        "prompt_version": None,
    } | changes
