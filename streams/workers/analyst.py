"""The capability `analysis`: a language model behind OpenAI's chat interface, or rules where there is no key.

Both answer one shape: `kind` analysed (verdict, analyser, model, prompt_version), skipped (reason) or failed (error),
with what it cost. Speaks HTTP; knows no Kafka.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import openai
from openai import AsyncOpenAI

from schemas.errors import TransientFailure
from streams.upsell import prompt, rules
from streams.upsell.costs import Tariff
from streams.upsell.discretion import without_echo
from streams.upsell.verdict import SCHEMA, BadAnswer, Verdict, read
from streams.workers.ledger import Ledger

log = logging.getLogger(__name__)

_STRICT: Final[dict[str, Any]] = {
    "type": "json_schema",
    "json_schema": {"name": "upsell_eval", "strict": True, "schema": SCHEMA},
}
_ABOUT_FORMAT: Final = ("json_schema", "structured", "format")
_PASSING: Final = (openai.RateLimitError, openai.APIConnectionError, openai.InternalServerError)
_OUR_FAULT: Final = (openai.AuthenticationError, openai.PermissionDeniedError)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is asked. `daily_budget_usd` bounds what a day (UTC) can cost; None: no bound."""

    api_key: str = field(repr=False)
    base_url: str | None = None
    model: str = "gpt-4o-mini"
    prompt_version: str = prompt.DEFAULT_VERSION
    timeout_s: float = 60.0
    attempts: int = 3
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    temperature: float = 0.3
    completion_tokens: int = 700
    longest_text: int = 40_000
    at_once: int = 4
    daily_budget_usd: float | None = 5.0
    tariff: Tariff = field(default_factory=Tariff)


class RulesAnalyst:
    """Judges by rules, at once and for nothing."""

    async def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The verdict of `streams.upsell.rules`."""
        began = time.monotonic()
        verdict = await asyncio.to_thread(rules.judge, request["segments"], request["language"])
        return _analysed(verdict, rules.NAME, rules.VERSION, rules.VERSION, began)

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class _Spent:
    """What the calls for one dialogue have cost so far."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micros: int = 0

    def as_fields(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_micros": self.cost_micros,
        }


class ModelAnalyst:
    """Asks a model. Its own failures are passing (the stream waits), a dialogue's are final.

    Passing, so that an outage or a wrong key burns no backlog: the server is away, overloaded, or refuses the key.
    Final: it refuses this dialogue, is too slow for it `attempts` times, or answers nonsense `attempts` times.
    """

    def __init__(
        self,
        options: ModelOptions,
        ledger: Ledger,
        *,
        client: AsyncOpenAI | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._options, self._ledger, self._pause = options, ledger, pause
        self._client = client or AsyncOpenAI(
            api_key=options.api_key, base_url=options.base_url, timeout=options.timeout_s, max_retries=0
        )
        self._slots = asyncio.Semaphore(options.at_once)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The model's verdict on a dialogue.

        Raises:
            TransientFailure: the server cannot be asked now, by nobody.
        """
        model = request["model"] or self._options.model
        version = request["prompt_version"] or self._options.prompt_version
        began = time.monotonic()
        if version not in prompt.VERSIONS:
            return _failed(f"There is no prompt version {version!r}.", model, _Spent())
        if len(request["text"]) > self._options.longest_text:
            return _skipped(f"transcript_too_long ({len(request['text'])} chars)")
        async with self._slots:
            return await self._judged(request, model, version, began)

    async def _judged(self, request: Mapping[str, Any], model: str, version: str, began: float) -> Mapping[str, Any]:
        spent = _Spent()
        strict = True
        problem = ""
        for attempt in range(self._options.attempts):
            chat = prompt.messages(version, request, schema_inside=not strict)
            if (refusal := self._too_dear(model, chat)) is not None:
                return _failed(problem, model, spent) if problem else _skipped(refusal)
            try:
                text = await self._ask(model, chat, strict, request["task_id"], spent)
                return _analysed(read(text), "openai", model, version, began) | spent.as_fields()
            except BadAnswer as bad:
                problem, strict = without_echo(str(bad), request["text"]), False
            except openai.APITimeoutError:
                problem = f"The model did not answer within {self._options.timeout_s:g} s."
            except _PASSING as passing:
                problem = f"The model's server cannot be asked: {_told(passing, request)}"
                await self._wait_or_give_way(problem, attempt)
            except _OUR_FAULT as refused:
                raise TransientFailure(
                    f"The model's server refuses the key ({_told(refused, request)}): correct OPENAI_API_KEY; "
                    "dialogues wait."
                ) from refused
            except openai.APIStatusError as refused:
                if not (strict and any(word in str(refused).lower() for word in _ABOUT_FORMAT)):
                    return _failed(f"The model's server refuses the dialogue: {_told(refused, request)}.", model, spent)
                problem, strict = _told(refused, request), False
        return _failed(f"{problem} ({self._options.attempts} attempts)", model, spent)

    async def _wait_or_give_way(self, problem: str, attempt: int) -> None:
        if attempt + 1 >= self._options.attempts:
            raise TransientFailure(problem)
        wait = min(self._options.longest_wait_s, self._options.first_wait_s * 2**attempt)
        log.warning("%s; again in %g s", problem, wait)
        await self._pause(wait)

    async def _ask(
        self, model: str, chat: Sequence[Mapping[str, str]], strict: bool, task_id: str, spent: _Spent
    ) -> str:
        messages: Any = chat
        wanted: Any = _STRICT if strict else {"type": "json_object"}
        answer = await self._client.chat.completions.create(
            model=model,
            messages=messages,
            temperature=self._options.temperature,
            max_tokens=self._options.completion_tokens,
            response_format=wanted,
        )
        prompt_tokens = answer.usage.prompt_tokens if answer.usage else 0
        completion_tokens = answer.usage.completion_tokens if answer.usage else 0
        cost = self._options.tariff.micros(model, prompt_tokens, completion_tokens)
        spent.prompt_tokens += prompt_tokens
        spent.completion_tokens += completion_tokens
        spent.cost_micros += cost
        try:
            await asyncio.to_thread(self._ledger.add, task_id, cost)
        except OSError as error:  # the answer is paid for all the same
            log.warning("%d millionths of a dollar for %s are not in the ledger's file: %s", cost, task_id, error)
        return (answer.choices[0].message.content or "") if answer.choices else ""

    def _too_dear(self, model: str, chat: Sequence[Mapping[str, str]]) -> str | None:
        """Why a call is not made: what is spent today and what the calls under way may cost leave no room for it."""
        budget = self._options.daily_budget_usd
        if budget is None:
            return None
        characters = sum(len(message["content"]) for message in chat)
        most = self._options.tariff.most(model, characters, self._options.completion_tokens)
        if self._ledger.today() + most * self._options.at_once <= budget * 1e6:
            return None
        return f"daily_budget_reached ({self._ledger.today() / 1e6:.2f} of {budget:.2f} USD spent)"


def _told(error: openai.APIError, request: Mapping[str, Any]) -> str:
    """What a server said, with its status, but nothing of what was said at the counter."""
    status = f"status {error.status_code}, " if isinstance(error, openai.APIStatusError) else ""
    return status + without_echo(str(error), request["text"])


def _analysed(verdict: Verdict, analyser: str, model: str, version: str, began: float) -> dict[str, Any]:
    return {
        "kind": "analysed",
        "verdict": msgspec.to_builtins(verdict),
        "analyser": analyser,
        "model": model,
        "prompt_version": version,
        "elapsed_s": time.monotonic() - began,
        "finished_us": time.time_ns() // 1000,
    }


def _skipped(reason: str) -> dict[str, Any]:
    return {"kind": "skipped", "reason": reason, "finished_us": time.time_ns() // 1000}


def _failed(error: str, model: str, spent: _Spent) -> dict[str, Any]:
    return {
        "kind": "failed",
        "error": error[:1000],
        "model": model,
        "finished_us": time.time_ns() // 1000,
        **spent.as_fields(),
    }
