"""Which dialogues are not worth an analyser's time: too little text, or short without any word of an offer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MARKERS: Final = (
    "еще", "также", "может", "попробуйте", "рекомендую", "добавить", "большой", "средний", "сироп", "десерт",
    "выпечка", "комбо", "с собой", "навынос", "дополнительно", "хотите",
)  # fmt: skip
"""Words of an offer, as substrings of the lower-cased text, where ё counts as е (contract 002, section 9)."""

FOREIGN_MARKERS: Final = (
    "anything else", "would you like", "how about", "recommend", "dessert", "syrup", "combo", "to go", "large",
    "želite", "zelite", "hoćete", "hocete", "još nešto", "jos nesto", "preporuč", "preporuc", "kolač", "kolac",
    "желите", "хоћете", "још нешто", "препоруч", "колач",
)  # fmt: skip
"""The same in English and Serbian, in both scripts: the analyser without a model speaks them too."""


@dataclass(frozen=True, slots=True)
class Prefilter:
    """PREFILTER_* of the contract. Durations are those of the dialogue on the wall clock, pauses included."""

    enabled: bool = True
    min_characters: int = 10
    min_duration_s: float = 6.0
    markers: tuple[str, ...] = MARKERS + FOREIGN_MARKERS

    def reason(self, text: str, duration_s: float) -> str | None:
        """Why a dialogue is skipped; None when it is to be analysed."""
        if not self.enabled:
            return None
        stripped = text.strip()
        if len(stripped) < self.min_characters:
            return f"transcript_too_short ({len(stripped)} chars)"
        plain = _plain(stripped)
        if duration_s < self.min_duration_s and not any(_plain(marker) in plain for marker in self.markers):
            return f"short_dialogue_no_markers ({duration_s:.1f}s)"
        return None


def _plain(text: str) -> str:
    return text.lower().replace("ё", "е")
