"""The bytes behind a claim: from the audio folder when it is here, else from the ingest service over HTTP.

For worker processes: blocking. What comes back is what the claim's SHA-256 names, or nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from streams.workers import BadInput, NotNow

log = logging.getLogger(__name__)
LARGEST: Final = 64 << 20  # bytes; the gateway takes less
_GONE: Final = (404, 410)


class AudioSource:
    """Fetches uploaded audio files. `folder` is AUDIO_STORAGE_PATH, `base_url` the ingest service's address.

    With both, the folder is looked at first. `internal_token` is what the service knows as INTERNAL_TOKEN.
    """

    def __init__(
        self,
        folder: str | None,
        base_url: str | None,
        internal_token: str | None = None,
        *,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s` bounds each wait for the network; `transport` is for tests."""
        self._folder = Path(folder) if folder else None
        self._base = base_url.rstrip("/") if base_url else None
        headers = {"Authorization": f"Bearer {internal_token or ''}"}
        self._client = httpx.Client(timeout=timeout_s, headers=headers, transport=transport) if self._base else None

    def fetch(self, claim: Mapping[str, Any]) -> bytes:
        """The file of a claim: a mapping with `chunk_id`, `stored_path` and `sha256` (hexadecimal).

        Raises:
            NotNow: folder or service cannot be reached, or it refuses the token.
            BadInput: the file was deleted, is larger than 64 MiB, or is not what the claim says.
        """
        data = self._read(claim)
        if data is None:
            data = self._download(claim)
        found = hashlib.sha256(data).hexdigest()
        if found != str(claim["sha256"]).lower():
            raise BadInput(f"The audio of chunk {claim['chunk_id']} has SHA-256 {found}, not {claim['sha256']}.")
        return data

    def close(self) -> None:
        """Give the connection back."""
        if self._client:
            self._client.close()

    def _read(self, claim: Mapping[str, Any]) -> bytes | None:
        if self._folder is None:
            if self._client is None:
                raise NotNow("Neither an audio folder nor an ingest service is configured.")
            return None
        path = _below(self._folder, str(claim["stored_path"]))
        try:
            if path.stat().st_size > LARGEST:
                raise BadInput(f"{path.name} is larger than {LARGEST} bytes.")
            return path.read_bytes()
        except FileNotFoundError:
            if self._client:
                return None
            if not self._folder.is_dir():
                raise NotNow(f"The audio folder {self._folder} is not there.") from None
            raise _gone(claim) from None
        except OSError as error:
            raise NotNow(f"{path} cannot be read: {error}") from error

    def _download(self, claim: Mapping[str, Any]) -> bytes:
        assert self._client is not None  # noqa: S101 - `_read` has made sure of it
        url = f"{self._base}/api/v1/internal/chunks/{claim['chunk_id']}/audio"
        try:
            # With the hash the service finds the file before its read model knows the chunk.
            with self._client.stream("GET", url, params={"sha256": str(claim["sha256"]).lower()}) as response:
                if response.status_code in _GONE:
                    raise _gone(claim)
                if response.status_code != 200:
                    raise NotNow(f"{url} answers {response.status_code}.")
                return _limited(response, claim)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotNow(f"{url} cannot be fetched: {type(error).__name__} {error}") from error


def _limited(response: httpx.Response, claim: Mapping[str, Any]) -> bytes:
    data = bytearray()
    for part in response.iter_bytes():
        data += part
        if len(data) > LARGEST:
            raise BadInput(f"The audio of chunk {claim['chunk_id']} is larger than {LARGEST} bytes.")
    return bytes(data)


def _below(folder: Path, stored_path: str) -> Path:
    path = folder / stored_path
    if stored_path.startswith("/") or ".." in Path(stored_path).parts:
        raise BadInput(f"The stored path {stored_path!r} leaves the audio folder.")
    return path


def _gone(claim: Mapping[str, Any]) -> BadInput:
    return BadInput(f"The audio of chunk {claim['chunk_id']} is not there any more.")
