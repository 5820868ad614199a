"""From seven expressions to two numbers, valence and arousal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# Mean ratings (pleasure, arousal) of "angry", "disgusted", "fearful", "happy", "sad" and "surprised" on -1..1:
# J. A. Russell, A. Mehrabian, "Evidence for a three-factor theory of emotions", Journal of Research in Personality
# 11 (1977) 273-294, table of 151 terms. Neutral is the origin of that space. How far the figures could be checked
# is written in docs/decisions/0010-face-detector-and-expression-model.md.
COORDINATES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "angry": (-0.51, 0.59),
        "disgust": (-0.60, 0.35),
        "fear": (-0.64, 0.60),
        "happy": (0.81, 0.51),
        "sad": (-0.63, -0.27),
        "surprise": (0.40, 0.67),
        "neutral": (0.0, 0.0),
    }
)


def affect(probabilities: Mapping[str, float]) -> tuple[float, float]:
    """Valence and arousal, each within -1..1: the expressions' coordinates weighted by their probabilities.

    `probabilities` maps names of EXPRESSIONS to shares that sum to 1; a missing name counts 0. Rounded to 4 decimals,
    which is far below what the model can tell apart and halves the size of a post.
    """
    valence = sum(COORDINATES[name][0] * share for name, share in probabilities.items())
    arousal = sum(COORDINATES[name][1] * share for name, share in probabilities.items())
    return round(valence, 4), round(arousal, 4)


def strongest(probabilities: Mapping[str, float]) -> str:
    """The likeliest expression; a tie goes to the earlier one in EXPRESSIONS."""
    return max(EXPRESSIONS, key=lambda name: probabilities.get(name, 0.0))
