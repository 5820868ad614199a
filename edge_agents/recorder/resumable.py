"""Uploads that go on where a cut connection stopped them: tus 1.0.0, where the server offers it."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from edge_agents.recorder.delivery import Connection, Later, Stored, Verdict, judge, lost, server_time_us
from edge_agents.recorder.disk import Disk

log = logging.getLogger(__name__)
UPLOADS = "/api/v1/uploads"
_TUS = {"tus-resumable": "1.0.0"}
PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload the server knows. `anchor_us`: how the clock stood then; after a jump it is begun anew."""

    upload_id: str
    anchor_us: int


class Resumable:
    """Begun uploads, by file name, kept over a restart."""

    def __init__(self, connection: Connection, notes: Path, disk: Disk) -> None:
        self._connection = connection
        self._notes = notes
        self._disk = disk
        self._begun = _read(notes)
        self._offered: bool | None = None

    def offered(self) -> bool:
        """Whether the server takes them; asked once and again after a failure to answer. Never raises."""
        if self._offered is None:
            try:
                response = self._connection.client.options(UPLOADS)
            except httpx.HTTPError:
                return False
            if response.status_code < 500:
                self._offered = response.status_code == 204 and "1.0.0" in response.headers.get("tus-version", "")
                log.info("resumable_uploads", extra={"offered": self._offered})
        return bool(self._offered)

    def send_chunk(self, fields: Mapping[str, str], path: Path, anchor_us: int) -> Verdict:
        """Send the rest of a chunk. Raises OSError if the file cannot be read."""
        try:
            return self._send(fields, path, anchor_us)
        except httpx.HTTPError as error:
            return lost(error)

    def forget(self, name: str) -> None:
        """The file needs no upload any more."""
        if self._begun.pop(name, None) is not None:
            self._save()

    def _send(self, fields: Mapping[str, str], path: Path, anchor_us: int) -> Verdict:
        size = path.stat().st_size
        state = self._where(path.name, anchor_us)
        if isinstance(state, httpx.Response):
            return self._done(path.name, state)
        if state is None:
            created = self._create(fields, path.name, size, anchor_us)
            if not isinstance(created, str):
                return created
            state = created, 0
        upload_id, offset = state
        with path.open("rb") as file:
            while True:
                file.seek(offset)
                response = self._patch(upload_id, offset, file.read(PIECE))
                if response.status_code not in (204, 409):
                    return self._given_up(path.name, response)
                moved = _number(response.headers.get("upload-offset"))
                if moved is None or (response.status_code == 409 and moved == offset) or moved > size:
                    return self._given_up(path.name, response)
                offset = moved
                if offset == size:
                    return self._done(path.name, response)

    def _where(self, name: str, anchor_us: int) -> tuple[str, int] | httpx.Response | None:
        # Id and offset of what was begun; the answer itself where only the last answer was lost.
        begun = self._begun.get(name)
        if begun is None:
            return None
        address = f"{UPLOADS}/{begun.upload_id}"
        if begun.anchor_us != anchor_us:
            self._connection.client.delete(address, headers=_TUS)
            self.forget(name)
            return None
        response = self._connection.client.head(address, headers=_TUS)
        offset = _number(response.headers.get("upload-offset"))
        if response.status_code == 200 and offset is not None:
            return response if "chunk-id" in response.headers else (begun.upload_id, offset)
        if response.status_code in (404, 410):
            self.forget(name)
        return None

    def _create(self, fields: Mapping[str, str], name: str, size: int, anchor_us: int) -> str | Verdict:
        told = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items())
        headers = {**_TUS, "upload-length": str(size), "upload-metadata": told}
        response = self._connection.client.post(UPLOADS, headers=headers)
        upload_id = response.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if response.status_code == 201 and upload_id:
            self._begun[name] = Begun(upload_id, anchor_us)
            self._save()
            return upload_id
        if response.status_code in (404, 405, 412, 501):
            self._offered = False
        return judge(response.status_code, response.headers, response.content)

    def _patch(self, upload_id: str, offset: int, piece: bytes) -> httpx.Response:
        headers = {**_TUS, "upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        return self._connection.client.patch(f"{UPLOADS}/{upload_id}", content=piece, headers=headers)

    def _done(self, name: str, response: httpx.Response) -> Verdict:
        self._connection.server_us = server_time_us(response.headers)
        chunk_id = response.headers.get("chunk-id")
        if not chunk_id:
            return Later(response.status_code, "the upload is whole, but the server does not name its chunk")
        self.forget(name)
        return Stored(200, {"chunk_id": chunk_id, "stored_path": response.headers.get("stored-path", "")})

    def _given_up(self, name: str, response: httpx.Response) -> Verdict:
        if response.status_code in (404, 409, 410, 412):
            self.forget(name)
            if response.status_code == 409 and "upload-offset" not in response.headers:
                return judge(409, response.headers, response.content)  # its number is another chunk's
            return Later(response.status_code, "the server lost this upload: it is begun anew", this_chunk=True)
        return judge(response.status_code, response.headers, response.content)

    def _save(self) -> None:
        content = json.dumps({name: asdict(begun) for name, begun in self._begun.items()}).encode()
        try:
            self._disk.save(self._notes, content)
        except OSError as error:
            log.warning("state_not_saved", extra={"file": self._notes.name, "error": str(error)})


def _read(path: Path) -> dict[str, Begun]:
    try:
        rows = json.loads(path.read_bytes())
        return {str(name): Begun(str(row["upload_id"]), int(row["anchor_us"])) for name, row in rows.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
