"""A claim's audio comes from the folder or the service, whole and unchanged, or with the right verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.workers import BadInput, NotNow, audio_source
from streams.workers.audio_source import AudioSource

AUDIO = b"OggS and so on"
SHA = hashlib.sha256(AUDIO).hexdigest()
CLAIM: dict[str, Any] = {"chunk_id": "c1", "stored_path": f"audio/sha256/{SHA[:2]}/{SHA}.ogg", "sha256": SHA}


def stored(folder: Path, data: bytes = AUDIO) -> Path:
    file = folder / CLAIM["stored_path"]
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    return folder


def served(answer: Callable[[httpx.Request], httpx.Response], folder: Path | None = None) -> AudioSource:
    return AudioSource(
        str(folder) if folder else None, "http://ingest:8000/", "token", transport=httpx.MockTransport(answer)
    )


def test_from_the_folder(tmp_path: Path) -> None:
    assert AudioSource(str(stored(tmp_path)), None).fetch(CLAIM) == AUDIO


def test_from_the_service_with_the_internal_token() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=AUDIO)

    source = served(answer)
    assert source.fetch(CLAIM) == AUDIO
    source.close()
    assert str(asked[0].url) == f"http://ingest:8000/api/v1/internal/chunks/c1/audio?sha256={CLAIM['sha256']}"
    assert asked[0].headers["authorization"] == "Bearer token"


def test_the_service_is_asked_for_what_the_folder_lacks(tmp_path: Path) -> None:
    assert served(lambda _: httpx.Response(200, content=AUDIO), tmp_path).fetch(CLAIM) == AUDIO


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_service_that_refuses_or_fails_may_do_better_later(status: int) -> None:
    with pytest.raises(NotNow, match=str(status)):
        served(lambda _: httpx.Response(status)).fetch(CLAIM)


def test_a_service_that_is_away_may_come_back() -> None:
    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(NotNow, match="refused"):
        served(away).fetch(CLAIM)


@pytest.mark.parametrize("status", [404, 410])
def test_audio_that_was_deleted_is_hopeless(status: int, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not there any more"):
        served(lambda _: httpx.Response(status)).fetch(CLAIM)
    with pytest.raises(BadInput, match="not there any more"):
        AudioSource(str(tmp_path), None).fetch(CLAIM)


def test_a_folder_that_is_not_mounted_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="not there"):
        AudioSource(str(tmp_path / "mount"), None).fetch(CLAIM)
    with pytest.raises(NotNow, match="configured"):
        AudioSource(None, None).fetch(CLAIM)


def test_other_bytes_than_claimed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="SHA-256"):
        AudioSource(str(stored(tmp_path, b"other")), None).fetch(CLAIM)
    with pytest.raises(BadInput, match="SHA-256"):
        served(lambda _: httpx.Response(200, content=AUDIO[:-1])).fetch(CLAIM)


def test_size_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_source, "LARGEST", 5)
    with pytest.raises(BadInput, match="larger"):
        AudioSource(str(stored(tmp_path)), None).fetch(CLAIM)
    with pytest.raises(BadInput, match="larger"):
        served(lambda _: httpx.Response(200, content=AUDIO)).fetch(CLAIM)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "audio/../../secret"])
def test_a_path_never_leaves_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(AUDIO)
    folder = tmp_path / "audio_storage"
    folder.mkdir()
    with pytest.raises(BadInput, match="leaves"):
        AudioSource(str(folder), None).fetch(CLAIM | {"stored_path": path})
