from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agents.recorder import sources as choosing
from edge_agents.recorder.backoff import Backoff
from edge_agents.recorder.capture import Feed, Samples
from edge_agents.recorder.capture_alsa import AlsaMicrophone
from edge_agents.recorder.capture_command import CommandMicrophone
from edge_agents.recorder.capture_file import PipeMicrophone, Playing, SoundMicrophone, decoded
from edge_agents.recorder.errors import CaptureLost, MicrophoneMissing
from edge_agents.recorder.microphones import Card, best, cards_in_arecord, cards_in_proc, recording_cards
from edge_agents.recorder.recorder import Recorder
from edge_agents.recorder.settings import point_to_alsa
from edge_agents.recorder.sources import Sources, Wanted
from tests.drivers.recording import Studio, decoded_samples, tone
from tests.drivers.waiting import eventually

CARDS = """ 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones
                      bcm2835 Headphones
 1 [sndrpihifiberry]: HifiberryDacpAd - snd_rpi_hifiberry_dacplusadc
                      snd_rpi_hifiberry_dacplusadc
 2 [Device         ]: USB-Audio - USB Audio Device
                      C-Media Electronics Inc. USB Audio Device at usb-0000:01:00.0-1.2, full speed
"""
PCM = """00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8
01-00: HiFiBerry multicodec-0 : HiFiBerry : playback 1 : capture 1
02-00: USB Audio : USB Audio : playback 1 : capture 1
"""
ARECORD = """**** List of CAPTURE Hardware Devices ****
card 1: Device [USB Audio Device], device 0: USB Audio [USB Audio]
  Subdevices: 1/1
  Subdevice #0: subdevice #0
"""
RATE = 16_000


def test_the_usb_microphone_comes_first_and_by_name():
    cards = cards_in_proc(CARDS, PCM)
    assert [card.alsa_id for card in cards] == ["plughw:CARD=sndrpihifiberry,DEV=0", "plughw:CARD=Device,DEV=0"]
    assert best(cards) == cards[1]
    assert best(cards[:1]) == cards[0]
    assert best([]) is None


def test_arecord_s_list_will_do_where_proc_says_nothing(tmp_path):
    assert cards_in_arecord(ARECORD) == [Card("plughw:CARD=Device,DEV=0", "USB Audio Device USB Audio")]
    assert recording_cards(tmp_path, lambda: ARECORD)[0].usb
    (tmp_path / "cards").write_text(CARDS)
    (tmp_path / "pcm").write_text(PCM)
    assert len(recording_cards(tmp_path, lambda: ARECORD)) == 2


class Fake:
    """A microphone of the test: gives blocks, then ends in its way."""

    def __init__(self, blocks: list[Samples], end: Exception | None = None, live: bool = True) -> None:
        self.name = "fake"
        self.live = live
        self._blocks = blocks
        self._end = end
        self.closed = threading.Event()

    def blocks(self) -> Iterator[Samples]:
        yield from self._blocks
        if self._end is not None:
            raise self._end
        if self.live:
            self.closed.wait(30)

    def moment_us(self, count: int) -> int | None:
        return None

    def close(self) -> None:
        self.closed.set()


def sources(
    wanted: Wanted, ways: dict[str, bool], tried: list[tuple[str, str]], works: set[tuple[str, str]]
) -> Sources:
    def maker(name: str):
        def make(device: str, rate: int) -> Fake:
            tried.append((name, device))
            return Fake([tone(0.1)], None) if (name, device) in works else Fake([], CaptureLost("no"))

        return make

    return Sources(
        wanted,
        lambda: 0,
        ways=lambda: {name: ways.get(name, False) for name in ("pyav", "ffmpeg", "arecord", "sounddevice")},
        cards=lambda: cards_in_proc(CARDS, PCM),
        makers={name: maker(name) for name in ("pyav", "ffmpeg", "arecord", "sounddevice")},
    )


def test_the_first_way_that_works_is_taken_and_told(caplog):
    caplog.set_level(logging.INFO)
    tried: list[tuple[str, str]] = []
    usb = "plughw:CARD=Device,DEV=0"
    feed, block = sources(Wanted("", RATE), {"pyav": True, "ffmpeg": True}, tried, {("ffmpeg", usb)}).open()
    feed.close()
    assert tried == [("pyav", usb), ("ffmpeg", usb)]
    assert block is not None
    assert block.samples.size == RATE // 10
    said = {record.message: vars(record) for record in caplog.records}
    assert said["usb_mic_detected"]["alsa_id"] == usb
    assert said["audio_device_ok"]["because"] == "first that works of pyav, ffmpeg"


def test_a_stereo_card_is_opened_with_conversion():
    tried: list[tuple[str, str]] = []
    made = sources(Wanted("hw:1,0", RATE), {"pyav": True}, tried, {("pyav", "plughw:1,0")})
    made.open()[0].close()
    assert tried == [("pyav", "hw:1,0"), ("pyav", "plughw:1,0")]


@pytest.mark.parametrize(
    ("wanted", "ways", "words"),
    [
        (Wanted("", RATE), {}, "apt install ffmpeg"),
        (Wanted("", RATE, "arecord"), {"pyav": True}, "'arecord', which is not installed"),
        (Wanted("hw:7,0", RATE), {"pyav": True}, "hw:7,0 by pyav: no"),
        (Wanted("file:/nowhere.wav", RATE), {"pyav": True}, "/nowhere.wav, which is not there"),
    ],
)
def test_what_is_missing_is_said(wanted, ways, words):
    with pytest.raises(MicrophoneMissing, match=words):
        sources(wanted, ways, [], set()).open()


def test_no_microphone_is_said():
    made = sources(Wanted("", RATE), {"pyav": True}, [], set())
    made.cards = list
    with pytest.raises(MicrophoneMissing, match="arecord -l"):
        made.open()


def test_this_machine_has_a_way():
    assert choosing.ways()["pyav"]


def test_alsa_gives_samples_through_pyav(tmp_path, monkeypatch):
    """A device of ALSA's own making, which reads a file."""
    if not Path("/usr/share/alsa/alsa.conf").exists():
        pytest.skip("no ALSA configuration on this machine")
    sound = tone(1)
    (tmp_path / "in.raw").write_bytes(sound.astype("<i2").tobytes())
    device = f'file "/dev/null"\ninfile "{tmp_path}/in.raw"\nformat raw'
    config = f"</usr/share/alsa/alsa.conf>\npcm.spoken {{\ntype file\nslave.pcm null\n{device}\n}}\n"
    (tmp_path / "asound.conf").write_text(config)
    point_to_alsa()
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    feed = Feed(AlsaMicrophone("spoken", RATE), RATE, lambda: 0)
    heard: list[Samples] = []
    while sum(block.size for block in heard) < RATE // 2:
        block = feed.next(10)
        assert block is not None
        heard.append(block.samples)
    feed.close()
    beginning = np.concatenate(heard)
    assert np.array_equal(beginning, sound[: beginning.size])


def test_an_alsa_device_that_is_not_there_is_lost():
    point_to_alsa()
    with pytest.raises(CaptureLost, match="hw:7,0"):
        next(AlsaMicrophone("hw:7,0", RATE).blocks())


def script(folder: Path, text: str) -> list[str]:
    path = folder / "fake-ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


def ends(feed: Feed, heard: list[Samples] | None = None) -> bool:
    """Take a block; whether the source has ended."""
    try:
        block = feed.next(5)
    except (EOFError, CaptureLost):
        return True
    assert block is not None
    if heard is not None:
        heard.append(block.samples)
    return False


def test_a_program_s_output_is_heard_until_it_is_told_to_stop(tmp_path):
    command = script(tmp_path, "trap 'exit 255' INT; while :; do head -c 3201 /dev/zero; sleep 0.01; done")
    microphone = CommandMicrophone(command, RATE)
    feed = Feed(microphone, RATE, lambda: 0)
    count = 0
    while count < 5000:
        block = feed.next(10)
        assert block is not None
        count += block.samples.size
    feed.close()
    eventually(lambda: ends(feed))


def test_a_program_that_dies_says_why(tmp_path):
    microphone = CommandMicrophone(script(tmp_path, "echo 'hw:1,0: No such file or directory' >&2; exit 1"), RATE)
    with pytest.raises(CaptureLost, match="ended with code 1: hw:1,0: No such file"):
        list(microphone.blocks())


def test_a_program_that_is_not_there_is_said():
    with pytest.raises(CaptureLost, match="cannot be started"):
        list(CommandMicrophone(["/nonexistent/ffmpeg"], RATE).blocks())


def wav(path: Path, sound: Samples, rate: int = RATE) -> Path:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())
    return path


def test_a_file_is_heard_to_its_end_and_dated_before_now(tmp_path):
    path = wav(tmp_path / "a.wav", tone(3))
    now = 10**9
    microphone = SoundMicrophone(lambda: decoded(path, RATE), RATE, lambda: now, Playing(0, length_s=3.0))
    blocks = list(microphone.blocks())
    assert sum(block.size for block in blocks) == 3 * RATE
    assert microphone.moment_us(3 * RATE) == now


def test_a_file_at_another_rate_is_converted(tmp_path):
    path = wav(tmp_path / "a.wav", tone(1, 44_100), 44_100)
    assert sum(block.size for block in decoded(path, RATE)) == pytest.approx(RATE, abs=20)


@pytest.mark.parametrize("content", [b"", b"no sound at all"])
def test_a_file_that_is_no_sound_is_said(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(CaptureLost, match=r"a\.wav"):
        list(decoded(path, RATE))


def test_a_pipe_is_heard_until_its_writer_goes(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feed = Feed(PipeMicrophone(str(path), RATE), RATE, lambda: 0)
    assert feed.next(0.05) is None
    sound = tone(2)

    def write() -> None:
        data = sound.astype("<i2").tobytes()
        with path.open("wb") as file:
            for at in range(0, len(data), 777):
                file.write(data[at : at + 777])

    writer = threading.Thread(target=write)
    writer.start()
    heard: list[Samples] = []
    while not ends(feed, heard):
        pass
    writer.join()
    assert np.array_equal(np.concatenate(heard), sound)


def recorder(studio: Studio, microphones: list[Fake | MicrophoneMissing], plugged=lambda: "same") -> Recorder:
    stop = threading.Event()

    def open_next() -> Fake:
        if not microphones:
            stop.set()
            raise MicrophoneMissing("no more in this test")
        found = microphones.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    made = Recorder(Sources(Wanted("", RATE), studio.clock.steady_us, open_next), studio.cutter, stop, plugged=plugged)
    made.backoff = Backoff(0.02, 0.6, jitter=0)
    made.wanted.set()
    return made


def test_a_lost_microphone_is_tried_again_and_the_backoff_begins_anew_when_it_is_back(tmp_path, caplog):
    gone, lost = MicrophoneMissing("none"), CaptureLost("unplugged")
    takes = [gone, gone, gone, Fake([tone(0.5)], lost), gone, Fake([tone(0.5)], lost)]
    studio = Studio(tmp_path, seconds=60)
    recorder(studio, takes).run()
    delays = [vars(record)["delay"] for record in caplog.records if record.message == "mic_not_available"]
    assert delays[:5] == [0.02, 0.04, 0.08, 0.02, 0.04]
    assert delays[5] == 0.02
    chunks = studio.chunks()
    assert [decoded_samples(path) for path in chunks] == [24_000, 24_000]


def test_the_documented_backoff_of_the_microphone():
    backoff = Recorder.__dataclass_fields__["backoff"].default_factory()
    assert [backoff.wait() for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]


def test_plugging_in_ends_the_wait(tmp_path):
    signatures = iter(["without", "without", "with"])
    takes = [MicrophoneMissing("none"), Fake([tone(0.2)], live=False)]
    made = recorder(Studio(tmp_path), takes, lambda: next(signatures))
    made.backoff = Backoff(60, 60, jitter=0)
    made.run()
    assert made.finished.is_set()


def test_the_schedule_s_end_finishes_the_chunk(tmp_path):
    studio = Studio(tmp_path, seconds=60)
    made = recorder(studio, [Fake([tone(0.1)] * 10)])
    thread = threading.Thread(target=made.run)
    thread.start()
    eventually(lambda: studio.cutter._count == RATE)
    made.wanted.clear()
    eventually(studio.chunks)
    made.stop.set()
    thread.join(5)
    assert decoded_samples(studio.chunks()[0]) == 48_000


def test_a_fault_in_a_driver_does_not_end_recording(tmp_path, caplog):
    studio = Studio(tmp_path, seconds=60)
    recorder(studio, [Fake([tone(0.5)], ZeroDivisionError("driver")), Fake([tone(0.5)], live=False)]).run()
    assert len(studio.chunks()) == 2
    assert any("ZeroDivisionError" in str(vars(record).get("error")) for record in caplog.records)


def test_pyav_writes_opus():
    assert av.codec.Codec("libopus", "w").name == "libopus"
