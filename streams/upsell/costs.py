"""What a call to a model costs, in millionths of a US dollar, and whether a day's limit leaves room for it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

CHARACTERS_A_TOKEN: Final = 2.0
"""Cyrillic text has two to three characters a token: the lower bound makes estimates too high rather than too low."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    prompt: float
    completion: float


PRICES: Final[Mapping[str, Price]] = MappingProxyType(
    {
        "gpt-4o-mini": Price(0.15, 0.60),
        "gpt-4o": Price(2.50, 10.00),
        "gpt-4.1-mini": Price(0.40, 1.60),
        "gpt-4.1-nano": Price(0.10, 0.40),
    }
)
"""OpenAI's list prices when this was written; another server's are set with OPENAI_PRICES."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices by model. A model without a price costs `unknown`: dear enough that a limit is never passed unseen."""

    prices: Mapping[str, Price] = field(default_factory=lambda: PRICES)
    unknown: Price = Price(5.0, 15.0)

    def micros(self, model: str, prompt_tokens: int, completion_tokens: int) -> int:
        """The cost of a call. Dated names of a model (gpt-4o-mini-2024-07-18) cost what the model does."""
        price = self._price(model)
        return math.ceil(prompt_tokens * price.prompt + completion_tokens * price.completion)

    def most(self, model: str, characters: int, completion_tokens: int) -> int:
        """What a call with so many characters can cost at most."""
        return self.micros(model, math.ceil(characters / CHARACTERS_A_TOKEN), completion_tokens)

    def _price(self, model: str) -> Price:
        known = [name for name in self.prices if model == name or model.startswith(f"{name}-20")]
        return self.prices[max(known, key=len)] if known else self.unknown
