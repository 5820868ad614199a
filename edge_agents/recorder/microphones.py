"""Which microphones there are, as ALSA tells: USB first, and by name, since numbers change with the plug."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ASOUND = Path("/proc/asound")
_CARD = re.compile(r"^\s*(\d+)\s+\[(\S+)\s*\]:\s*(.*?)\s+-\s+(.*?)\s*$")
_PCM = re.compile(r"^(\d+)-(\d+):.*\bcapture\b")
_ARECORD = re.compile(r"^card (\d+): (\S+) \[(.*?)\], device (\d+): .*?\[(.*?)\]")


@dataclass(frozen=True, slots=True)
class Card:
    """A device that can record. `alsa_id` is what to open; it converts rate and channels where the card cannot."""

    alsa_id: str
    name: str

    @property
    def usb(self) -> bool:
        """Whether it calls itself so."""
        return "usb" in self.name.lower()


def cards_in_proc(cards: str, pcm: str) -> list[Card]:
    """From the texts of /proc/asound/cards and /proc/asound/pcm."""
    named = {
        int(found[1]): (found[2], f"{found[3]} {found[4]}") for found in map(_CARD.match, cards.splitlines()) if found
    }
    found_devices = [found for found in map(_PCM.match, pcm.splitlines()) if found]
    recording = [(int(found[1]), int(found[2])) for found in found_devices]
    return [_card(named[card][0], device, named[card][1]) for card, device in recording if card in named]


def cards_in_arecord(text: str) -> list[Card]:
    """From what `arecord -l` prints."""
    found = [found for found in map(_ARECORD.match, text.splitlines()) if found]
    return [_card(one[2], int(one[4]), f"{one[3]} {one[5]}") for one in found]


def _card(identity: str, device: int, name: str) -> Card:
    return Card(f"plughw:CARD={identity},DEV={device}", name)


def run_arecord() -> str:
    """What `arecord -l` prints; nothing where it is not installed."""
    try:
        return subprocess.run(
            ["arecord", "-l"], capture_output=True, text=True, timeout=10, check=False, errors="replace"
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def recording_cards(root: Path = ASOUND, arecord: Callable[[], str] = run_arecord) -> list[Card]:
    """Every device of this machine that can record."""
    return cards_in_proc(_text(root / "cards"), _text(root / "pcm")) or cards_in_arecord(arecord())


def best(cards: list[Card]) -> Card | None:
    """The first USB microphone, else the first device."""
    return next((card for card in cards if card.usb), cards[0] if cards else None)


def signature(root: Path = ASOUND) -> str:
    """A text that changes when a card is plugged in or out."""
    return _text(root / "cards") + _text(root / "pcm")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
