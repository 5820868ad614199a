"""The Kafka jars: locked by SHA-256, fetched from Maven Central by jgo, kept in the cache."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psutil

from ops.errors import OperatorError

LOCK = Path(__file__).with_name("kafka.lock")
PARALLEL = 8
TIMEOUT_S = 30
ATTEMPTS = 3

Arrived: TypeAlias = Callable[[int], None]  # told how many more bytes have come in


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: Maven coordinate, SHA-256 in hex, size in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """File name, as Maven writes it."""
        return f"{self.artifact}-{self.version}.jar"


def locked(lock: Path = LOCK) -> tuple[Jar, ...]:
    """The jars of the lock file; lines that begin with # are remarks."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return tuple(_jar(*line.split()) for line in lines if line and not line.startswith("#"))


def _jar(coordinate: str, sha256: str, size: str) -> Jar:
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256, int(size))


def folder(cache: Path, lock: Path = LOCK) -> Path:
    """Where the jars of exactly this lock are kept."""
    return cache / "kafka" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]


def missing(directory: Path, jars: Iterable[Jar]) -> list[Jar]:
    """The jars that are not there or are not what the lock says (cut short, changed)."""
    return [jar for jar in jars if not intact(directory / jar.name, jar)]


def intact(path: Path, jar: Jar) -> bool:
    """Whether the file is byte for byte what the lock says."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def remove_strangers(directory: Path, jars: Iterable[Jar]) -> None:
    """Delete every file beside the locked jars: Java would load it too."""
    known = {jar.name for jar in jars}
    for path in directory.iterdir():
        if path.is_file() and path.name not in known:
            path.unlink()


def ensure(cache: Path, arrived: Arrived, wanted: Callable[[int, int], None] = lambda count, size: None) -> Path:
    """Return the folder with all locked jars, fetching what is missing (told first to `wanted`: jars, bytes)."""
    directory, jars = folder(cache), locked()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        remove_strangers(directory, jars)
        absent = missing(directory, jars)
        if absent:
            wanted(len(absent), sum(jar.size for jar in absent))
            fetch_all(absent, directory, arrived)
    except OSError as error:
        raise OperatorError(explain(error, cache)) from error
    return directory


def fetch_all(jars: list[Jar], directory: Path, arrived: Arrived) -> None:
    """Fetch several jars at a time; the first failure ends it, and what has arrived stays for the next start."""
    _sweep(directory)
    draft = Path(tempfile.mkdtemp(prefix=f".fetch-{os.getpid()}-", dir=directory))
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="fetch")
    try:
        for done in as_completed([pool.submit(fetch, jar, draft, directory, arrived) for jar in jars]):
            done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(draft, ignore_errors=True)


def fetch(jar: Jar, draft: Path, directory: Path, arrived: Arrived) -> None:
    """Fetch one jar and put it in place only when its SHA-256 is the locked one. OSError or OperatorError if not."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            path = _download(jar, draft / f"{jar.name}.{attempt}", arrived)
        except OSError as error:
            if attempt == ATTEMPTS or error.errno == errno.ENOSPC:
                raise
            continue
        if intact(path, jar):
            path.replace(directory / jar.name)
            return
    raise OSError(f"what arrived as {jar.name} is not the file of the lock")


def _download(jar: Jar, repository: Path, arrived: Arrived) -> Path:
    """Let jgo fetch into a throw-away local repository; bytes of a failed attempt are taken back."""
    from jgo.maven import MavenContext, PythonResolver

    counted = 0

    @contextmanager
    def progress(_name: str, _size: int) -> Generator[Arrived, None, None]:
        def update(count: int) -> None:
            nonlocal counted
            counted += count
            arrived(count)

        yield update

    context = MavenContext(
        resolver=PythonResolver(progress_callback=progress), repo_cache=repository, timeout=TIMEOUT_S
    )
    try:
        return context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:
        arrived(-counted)
        raise error if isinstance(error, OSError) else OSError(str(error)) from error


def _sweep(directory: Path) -> None:
    """Remove the drafts of downloads whose process is gone."""
    for draft in directory.glob(".fetch-*"):
        with suppress(ValueError):
            if not psutil.pid_exists(int(draft.name.split("-")[1])):
                shutil.rmtree(draft, ignore_errors=True)


def explain(error: OSError, cache: Path) -> str:
    """One sentence about a failed download: what happened and what to do."""
    text = f"{type(error).__name__}: {error}"
    again = "what has arrived is kept, so start again when that is done"
    if error.errno == errno.ENOSPC:
        return f"The disk is full at {cache}: free about 100 MB or set SENSORIUM_CACHE to another disk; {again}."
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return f"Cannot write to {cache}: set SENSORIUM_CACHE to a directory that you may write to."
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSLError" in text:
        return (
            "The download of Kafka was refused because the server's certificate is not trusted: behind a proxy with a "
            f"certificate authority of its own, set REQUESTS_CA_BUNDLE (or SSL_CERT_FILE) to its bundle; {again}."
        )
    if "not the file of the lock" in text:
        return f"The download of Kafka was changed on its way ({error}): a proxy or a broken mirror; {again}."
    return (
        "The download of Kafka failed: Maven Central cannot be reached from here; check the network, and set "
        f"HTTPS_PROXY if there is a proxy; {again} ({type(error).__name__})."
    )
