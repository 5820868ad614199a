"""The demo's scripted shop dialogues: who says what after which pause, and what an analysis should find."""

from __future__ import annotations

from dataclasses import dataclass, field

# Longer than any pause inside a scene and than the silence that ends a dialogue (12 s), so each scene is a dialogue.
BETWEEN_SCENES_S = 16.0


@dataclass(frozen=True, slots=True)
class Line:
    """What one speaker says, after `pause_s` seconds of silence since the line before."""

    speaker: str
    text: str
    pause_s: float = 0.7


@dataclass(frozen=True, slots=True)
class Expected:
    """What is true of a scene: upsell tried (yes or no), what was offered, what the customer said to it."""

    attempted: str
    categories: tuple[str, ...] = ()
    customer_reaction: str = "unclear"


@dataclass(frozen=True, slots=True)
class Scene:
    """One dialogue at the counter."""

    name: str
    language: str
    lines: tuple[Line, ...]
    expected: Expected = field(default_factory=lambda: Expected("no"))

    @property
    def words(self) -> str:
        """Everything that is said, in order."""
        return " ".join(line.text for line in self.lines)


SELLER, CUSTOMER = "seller", "customer"

# In Russian the words are those that Whisper's small models understand from espeak, which is hard on their v and z.
SCENES: tuple[Scene, ...] = (
    Scene(
        "ru-cake",
        "ru",
        (
            Line(SELLER, "Здравствуйте! Что вы хотите?", 0.0),
            Line(CUSTOMER, "Добрый день! Я хочу один большой кофе.", 1.0),
            Line(SELLER, "Сегодня очень вкусный десерт. Попробуйте наш шоколадный торт.", 1.0),
            Line(CUSTOMER, "Хорошо, спасибо. Я хочу торт.", 2.0),
            Line(SELLER, "Это будет триста рублей. Спасибо, хорошего дня!", 1.0),
            Line(CUSTOMER, "Спасибо, до свидания.", 3.5),
        ),
        Expected("yes", ("dessert",), "accepted"),
    ),
    Scene(
        "en-cake",
        "en",
        (
            Line(SELLER, "Good morning! What can I get for you today?", 0.0),
            Line(CUSTOMER, "Hello. I would like a small latte, please."),
            Line(SELLER, "Would you like to try our chocolate cake with your coffee?"),
            Line(CUSTOMER, "No, thank you. Just the coffee.", 1.5),
            Line(SELLER, "That will be three dollars. Have a nice day!"),
            Line(CUSTOMER, "Thank you very much. Goodbye.", 3.0),
        ),
        Expected("yes", ("dessert",), "rejected"),
    ),
    Scene(
        "ru-plain",
        "ru",
        (
            Line(CUSTOMER, "Добрый день! Я хочу один кофе.", 0.0),
            Line(SELLER, "Хорошо. Это будет триста рублей.", 1.0),
            Line(CUSTOMER, "Спасибо, до свидания.", 2.5),
        ),
        Expected("no"),
    ),
    Scene(
        "en-plain",
        "en",
        (
            Line(CUSTOMER, "Hi, one black tea, please.", 0.0),
            Line(SELLER, "Sure. That is two dollars."),
            Line(CUSTOMER, "Here you are. Thank you.", 2.5),
        ),
        Expected("no"),
    ),
)


def scenes(languages: list[str]) -> tuple[Scene, ...]:
    """The scenes in these languages, in the order of the script."""
    return tuple(scene for scene in SCENES if scene.language in languages)
