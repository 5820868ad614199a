"""Chooses the microphone and the way to record from it, and says why."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from edge_agents.recorder import capture_file, microphones
from edge_agents.recorder.capture import Block, Feed, Microphone
from edge_agents.recorder.capture_alsa import AlsaMicrophone
from edge_agents.recorder.capture_command import CommandMicrophone, arecord_command, ffmpeg_command
from edge_agents.recorder.capture_portaudio import PortAudioMicrophone
from edge_agents.recorder.errors import CaptureLost, MicrophoneMissing

log = logging.getLogger(__name__)
FIRST_SOUND_S = 5.0
_MAKERS: Mapping[str, Callable[[str, int], Microphone]] = MappingProxyType(
    {
        "pyav": AlsaMicrophone,
        "ffmpeg": lambda device, rate: CommandMicrophone(ffmpeg_command(device, rate), rate),
        "arecord": lambda device, rate: CommandMicrophone(arecord_command(device, rate), rate),
        "sounddevice": PortAudioMicrophone,
    }
)


def has_pyav() -> bool:
    """Whether PyAV is there and knows ALSA."""
    if importlib.util.find_spec("av") is None:
        return False
    import av

    return "alsa" in av.formats_available


def ways() -> dict[str, bool]:
    """Every way to record, in the order of preference, and whether this machine has it."""
    return {
        "pyav": has_pyav(),
        "ffmpeg": shutil.which("ffmpeg") is not None,
        "arecord": shutil.which("arecord") is not None,
        "sounddevice": importlib.util.find_spec("sounddevice") is not None,
    }


def chosen_ways(wanted: str, there: Mapping[str, bool]) -> list[str]:
    """The ways to try, best first. Raises MicrophoneMissing with what to install."""
    if wanted != "auto":
        if not there[wanted]:
            raise MicrophoneMissing(f"capture is set to {wanted!r}, which is not installed; say capture: auto")
        return [wanted]
    found = [name for name, is_there in there.items() if is_there]
    if not found:
        raise MicrophoneMissing(
            "nothing to record with: pip install av, or apt install ffmpeg, or apt install alsa-utils"
        )
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings say of the microphone."""

    device: str
    sample_rate: int
    capture: str = "auto"
    loop: bool = False
    speed: float = 1.0


@dataclass(slots=True)
class Sources:
    """Opens the microphone. `sound` takes its place where the sound is made by the program itself (demo)."""

    wanted: Wanted
    steady_us: Callable[[], int]
    sound: Callable[[], Microphone] | None = None
    ways: Callable[[], Mapping[str, bool]] = ways
    cards: Callable[[], Sequence[microphones.Card]] = microphones.recording_cards
    makers: Mapping[str, Callable[[str, int], Microphone]] = field(default_factory=lambda: _MAKERS)
    first_sound_s: float = FIRST_SOUND_S

    def open(self) -> tuple[Feed, Block | None]:
        """A feed and its first block (None: a file or pipe that may begin later). Raises MicrophoneMissing."""
        if (made := self._made()) is not None:
            return Feed(made, self.wanted.sample_rate, self.steady_us), None
        names = chosen_ways(self.wanted.capture, self.ways())
        failures: list[str] = []
        for name, device in self._candidates(names):
            feed = Feed(self.makers[name](device, self.wanted.sample_rate), self.wanted.sample_rate, self.steady_us)
            try:
                block = feed.next(self.first_sound_s)
                if block is None:
                    raise CaptureLost(f"no sound from it within {self.first_sound_s:g} s")
            except (CaptureLost, EOFError) as error:
                feed.close()
                failures.append(f"{device} by {name}: {error}")
                log.info("capture_failed", extra={"capture": name, "device": device, "error": str(error)})
                continue
            why = "set so" if self.wanted.capture != "auto" else f"first that works of {', '.join(names)}"
            log.info("audio_device_ok", extra={"alsa_id": device, "capture": name, "because": why})
            return feed, block
        raise MicrophoneMissing("; ".join(failures))

    def _made(self) -> Microphone | None:
        if self.sound is not None:
            return self.sound()
        rate, device = self.wanted.sample_rate, self.wanted.device
        if device == "-" or device.startswith("pipe:"):
            return capture_file.PipeMicrophone(device.removeprefix("pipe:"), rate)
        if not device.startswith(("file:", "/")):
            return None
        path = Path(device.removeprefix("file:"))
        if path.exists() and stat.S_ISFIFO(path.stat().st_mode):
            return capture_file.PipeMicrophone(str(path), rate)
        if not path.is_file():
            raise MicrophoneMissing(f"audio_device names the file {path}, which is not there")
        return capture_file.SoundMicrophone(
            lambda: capture_file.decoded(path, rate),
            rate,
            self.steady_us,
            capture_file.Playing(self.wanted.speed, self.wanted.loop, capture_file.length_s(path)),
            str(path),
        )

    def _candidates(self, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        devices = self._devices(names)
        for name in names:
            yield from ((name, device) for device in (devices if name != "sounddevice" else [self.wanted.device]))

    def _devices(self, names: Sequence[str]) -> list[str]:
        device = self.wanted.device
        if device:
            # A card that is stereo only, or has another rate, refuses hw: and is converted by plughw:.
            return [device, f"plug{device}"] if device.startswith("hw:") else [device]
        card = microphones.best(list(self.cards()))
        if card is not None:
            message = "usb_mic_detected" if card.usb else "no_usb_mic_found_using_first"
            log.info(message, extra={"alsa_id": card.alsa_id, "card_name": card.name})
            return [card.alsa_id]
        if names == ["sounddevice"] or "sounddevice" in names:
            return []
        raise MicrophoneMissing("no microphone is plugged in (`arecord -l` shows what there is)")
