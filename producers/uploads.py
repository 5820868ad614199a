"""Resumable uploads for bad links: tus 1.0.0 (https://tus.io), core with creation, expiration and termination.

A finished upload becomes a chunk by the same code as one posted whole. Its offset reaches its length only when the
chunk is in the log: until then the last byte is asked for again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from producers.answers import Answer, Headers, RawHeaders, Receive, Refused, problem, refusal
from producers.audio_store import IN_MEMORY
from producers.bodies import ClientGone
from producers.chunks import Chunks, SentChunk, storing
from producers.device_tokens import Device
from producers.multipart import LONGEST_FIELD, MOST_PARTS
from producers.recorder_forms import read_form, span
from producers.recorder_limits import arriving
from producers.upload_files import Upload, UploadFiles

PATH: Final = "/api/v1/uploads"
VERSION: Final = b"1.0.0"
DONE_S: Final = 3600.0  # how long a finished upload still answers
MOST_DONE: Final = 64
_LEAVE_S: Final = 5.0
_OFFSET_STREAM: Final = b"application/offset+octet-stream"
_RESUMABLE: Final = (b"tus-resumable", VERSION)
_VERSIONS: Final = (b"tus-version", VERSION)


@dataclass(slots=True)
class _Holder:
    """The request that has an upload now; `leave` ends its waiting for bytes."""

    reading: asyncio.Timeout | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def leave(self) -> None:
        """Send the request away, once; nothing where it does not wait for bytes."""
        if self.reading is not None:
            self.reading.reschedule(asyncio.get_running_loop().time())
            self.reading = None


class Uploads:
    """The routes below /api/v1/uploads; state in memory and on disk."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._files = UploadFiles(chunks.options.audio_folder)
        self._uploads: dict[str, Upload] = {}
        self._holders: dict[str, _Holder] = {}

    async def open(self) -> None:
        """Find what a run before left. Raises `StoreFull`, `StoreFailed`."""
        for upload in await self._chunks.store.run(self._files.open):
            self._uploads.setdefault(upload.upload_id, upload)
        await self._expire()

    async def options(self, _request: Headers, _receive: Receive) -> Answer:
        """What this server can do."""
        largest = b"%d" % self._chunks.options.max_upload_bytes
        extensions = (b"tus-extension", b"creation,expiration,termination")
        return _answer(204, [_VERSIONS, extensions, (b"tus-max-size", largest)])

    async def create(self, request: Headers, _receive: Receive) -> Answer:
        """POST: check what will be uploaded and give it an address. Raises `Refused`, `Unacceptable`."""
        devices = await self._let_in(request)
        length = _number(request, b"upload-length")
        fields = read_metadata(request.get(b"upload-metadata", b""))
        form = read_form(fields)
        times = self._chunks.check(form, devices, request)
        if length > self._chunks.options.max_upload_bytes:
            raise self._chunks.too_large()
        if not length:
            raise refusal(422, "Empty file")
        await self._expire()
        offset_us = self._chunks.clocks.offset(form, times, time.time_ns() // 1000)
        expires_s = time.time() + self._chunks.options.resumable_s
        upload = Upload(uuid.uuid4().hex, str(form.device_id), length, fields, offset_us, expires_s)
        self._add(upload)
        try:
            with storing():
                await self._chunks.store.run(lambda: self._files.save(upload))
        except Refused:
            del self._uploads[upload.upload_id]
            raise
        return _answer(201, [(b"location", f"{PATH}/{upload.upload_id}".encode()), _expires(upload)])

    async def head(self, request: Headers, upload_id: str) -> Answer:
        """HEAD: how much has arrived. Raises `Refused`."""
        upload, _ = await self._find(request, upload_id)
        async with self._hold(upload):
            offset = await self._offset(upload)
        length = (b"upload-length", b"%d" % upload.length)
        return _answer(200, [*_state(upload, offset), length, (b"cache-control", b"no-store")])

    async def delete(self, request: Headers, upload_id: str) -> Answer:
        """DELETE: give it up. Raises `Refused`."""
        upload, _ = await self._find(request, upload_id)
        async with self._hold(upload):
            await self._remove(upload)
        return _answer(204, [])

    async def patch(self, request: Headers, receive: Receive, upload_id: str) -> Answer:
        """PATCH: take more bytes; with the last one the upload becomes a chunk. Raises `Refused`, `ClientGone`."""
        upload, device = await self._find(request, upload_id)
        if request.get(b"content-type", b"").partition(b";")[0].strip().lower() != _OFFSET_STREAM:
            raise refusal(415, f"Content-Type must be {_OFFSET_STREAM.decode()}")
        sent_offset = _number(request, b"upload-offset")
        with self._chunks.room.enter(device.token_sha256):
            async with self._hold(upload) as holder:
                offset = await self._offset(upload)
                if sent_offset != offset:
                    raise _conflict(offset)
                offset = await self._append(_Writing(upload, holder, receive, offset))
                if offset == upload.length and upload.done is None:
                    await self._complete(upload, request)
                return _answer(204, _state(upload, offset))

    async def _let_in(self, request: Headers) -> Sequence[Device]:
        devices = await self._chunks.auth.devices(request)
        self._chunks.require_folder()
        if request.get(b"tus-resumable") != VERSION:
            refused = refusal(412, "Tus-Resumable must be 1.0.0")
            refused.answer.headers = [*refused.answer.headers, _VERSIONS]
            raise refused
        return devices

    async def _find(self, request: Headers, upload_id: str) -> tuple[Upload, Device]:
        devices = await self._let_in(request)
        upload = self._uploads.get(upload_id)
        device = next((one for one in devices if upload and one.device_id == upload.device_id), None)
        if upload is None or device is None:
            raise refusal(404, "Upload not found")
        self._chunks.auth.see(device, request)
        if time.time() >= upload.expires_s:
            await self._remove(upload)
            raise refusal(410, "The upload has expired")
        return upload, device

    def _add(self, upload: Upload) -> None:
        most = self._chunks.options.resumable_per_device
        there = sum(one.device_id == upload.device_id and one.done is None for one in self._uploads.values())
        if there >= most:
            raise problem(429, f"This device has {most} unfinished uploads: finish or delete one", 60)
        self._uploads[upload.upload_id] = upload

    async def _remove(self, upload: Upload) -> None:
        self._uploads.pop(upload.upload_id, None)
        with storing():
            await self._chunks.store.run(lambda: self._files.remove(upload))

    async def _expire(self) -> None:
        now = time.time()
        for upload in [one for one in self._uploads.values() if now >= one.expires_s]:
            if upload.upload_id not in self._holders:
                await self._remove(upload)

    @asynccontextmanager
    async def _hold(self, upload: Upload) -> AsyncGenerator[_Holder]:
        """Have an upload alone; a request that still waits for bytes of it (a dead link) is sent away."""
        name = upload.upload_id
        while (other := self._holders.get(name)) is not None:
            other.leave()
            try:
                async with asyncio.timeout(_LEAVE_S):
                    await other.gone.wait()
            except TimeoutError as error:
                raise refusal(423, "The upload is being finished by another request") from error
        if name not in self._uploads:
            raise refusal(404, "Upload not found")
        own = self._holders[name] = _Holder()
        try:
            yield own
        finally:
            del self._holders[name]
            own.gone.set()

    async def _offset(self, upload: Upload) -> int:
        """What has arrived; one less than all while the chunk is not in the log."""
        if upload.done is not None:
            return upload.length
        with storing():
            return min(await self._chunks.store.run(lambda: self._files.size(upload)), upload.length - 1)

    async def _append(self, writing: _Writing) -> int:
        """Write what comes until it ends or stops; the new offset. What came before a cut is kept."""
        try:
            async with asyncio.timeout(None) as writing.holder.reading:
                async for data in arriving(writing.receive, self._chunks.options):
                    await self._take(writing, data)
        except TimeoutError as error:
            raise ClientGone from error  # the same upload goes on in another request
        finally:
            writing.holder.reading = None
            await self._flush(writing)
        return writing.offset

    async def _take(self, writing: _Writing, data: bytes) -> None:
        if writing.offset + len(writing.buffer) + len(data) > writing.upload.length:
            raise refusal(413, f"The upload has only {writing.upload.length} bytes")
        writing.buffer += data
        if len(writing.buffer) >= IN_MEMORY:
            await self._flush(writing)

    async def _flush(self, writing: _Writing) -> None:
        if not writing.buffer:
            return
        data, offset = bytes(writing.buffer), writing.offset
        writing.buffer.clear()

        def write() -> None:
            self._chunks.store.check_room(len(data))
            self._files.write(writing.upload, offset, data)

        with storing():
            await self._chunks.store.run(write)
        writing.offset += len(data)

    async def _complete(self, upload: Upload, request: Headers) -> None:
        """Make it a chunk. Raises `Refused`; the upload is then one byte short and can be finished again."""
        form = read_form(upload.fields)
        times = span(form, self._chunks.zone)
        sent = SentChunk(form, upload.fields["start_ts"], upload.fields["end_ts"], times, upload.clock_offset_us)
        draft = self._chunks.store.draft(upload.length)
        try:
            for offset in range(0, upload.length, IN_MEMORY):
                with storing():
                    draft.add(await self._chunks.store.run(lambda at=offset: self._files.read(upload, at, IN_MEMORY)))
                    await draft.drain()
            answer = await self._chunks.take(sent, draft, request)
        except Refused as refused:
            if refused.answer.status == 409:  # its number is another chunk's: no byte more would change that
                await self._remove(upload)
            raise
        finally:
            await draft.discard()
        upload.done = {"chunk_id": answer["chunk_id"], "stored_path": answer["stored_path"]}
        upload.expires_s = time.time() + DONE_S
        with storing():
            await self._chunks.store.run(lambda: self._files.save(upload))
            await self._chunks.store.run(lambda: self._files.drop_part(upload))
        await self._forget_oldest(upload.device_id)

    async def _forget_oldest(self, device_id: str) -> None:
        """Keep the answers of a device's last `MOST_DONE` finished uploads."""
        done = [one for one in self._uploads.values() if one.done is not None and one.device_id == device_id]
        for old in sorted(done, key=lambda one: one.expires_s)[:-MOST_DONE]:
            if old.upload_id not in self._holders:
                await self._remove(old)


@dataclass(slots=True)
class _Writing:
    """Bytes on their way into an upload's file: `offset` is what it has, `buffer` what it has not yet."""

    upload: Upload
    holder: _Holder
    receive: Receive
    offset: int
    buffer: bytearray = field(default_factory=bytearray)


def read_metadata(header: bytes) -> dict[str, str]:
    """The text fields of `Upload-Metadata`. Raises `Refused`: 400."""
    fields: dict[str, str] = {}
    pairs = [pair.strip() for pair in header.split(b",") if pair.strip()]
    if len(pairs) > MOST_PARTS or len(header) > MOST_PARTS * LONGEST_FIELD:
        raise refusal(400, f"Upload-Metadata may have {MOST_PARTS} fields")
    for pair in pairs:
        name, _, value = pair.partition(b" ")
        try:
            fields[name.decode()] = b64decode(value.strip(), validate=True).decode()
        except (BadBase64, UnicodeDecodeError) as error:
            raise refusal(400, "Upload-Metadata must be pairs of a name and its value in base64") from error
    return fields


def _number(request: Headers, name: bytes) -> int:
    """A header's number. Raises `Refused`: 400."""
    text = request.get(name, b"")
    if not text.isdigit() or len(text) > 18:
        raise refusal(400, f"{name.decode().title()} must be a number")
    return int(text)


def _state(upload: Upload, offset: int) -> RawHeaders:
    headers = [(b"upload-offset", b"%d" % offset), _expires(upload)]
    if upload.done is not None:
        headers.append((b"chunk-id", upload.done["chunk_id"].encode()))
        headers.append((b"stored-path", upload.done["stored_path"].encode()))
    return headers


def _expires(upload: Upload) -> tuple[bytes, bytes]:
    return b"upload-expires", formatdate(upload.expires_s, usegmt=True).encode()


def _conflict(offset: int) -> Refused:
    refused = refusal(409, f"The upload has {offset} bytes")
    refused.answer.headers = [*refused.answer.headers, (b"upload-offset", b"%d" % offset)]
    return refused


def _answer(status: int, headers: RawHeaders) -> Answer:
    return Answer(status, b"", [_RESUMABLE, *headers])
