"""POST /api/v1/chunks: a recorder's chunk goes to the audio folder, then its claim into the log, then comes the 200."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from producers.answers import Answer, Headers, Receive, Refused, answer_json, refusal, unavailable
from producers.appending import Appender
from producers.audio_store import AudioDraft, AudioStore, Stored, StoreFailed, StoreFull
from producers.claims import Claims, other_content
from producers.device_auth import DeviceAuth
from producers.device_tokens import Device
from producers.multipart import LARGEST_FRAME, BadForm, FormReader
from producers.recorder_forms import FILE, REQUIRED, ChunkForm, Clocks, Span, chunk_id, read_form, span
from producers.recorder_limits import RecorderOptions, Room, arriving
from producers.reservations import Reservations


class Chunks:
    """Takes chunks, whole or assembled from a resumable upload."""

    def __init__(
        self,
        options: RecorderOptions,
        store: AudioStore,
        auth: DeviceAuth,
        appender: Appender,
        zone: tuple[tzinfo | None, str],
    ) -> None:
        """`zone` is where times without an offset are read (None: the machine's), and what the events call it."""
        self.options, self.store, self.auth, self.appender = options, store, auth, appender
        self.room = Room(options.uploads, options.uploads_per_device)
        self.claims = Claims(appender, options.remembered)
        self.clocks = Clocks()
        self.zone, self._zone_name = zone
        self.is_open = False
        self._reservations = Reservations(options.audio_folder)

    async def open(self) -> None:
        """Make the folders; `is_open` is for the caller to set. Raises `StoreFull`, `StoreFailed`."""
        await self.store.open()
        await self.store.run(lambda: self._reservations.tidy(datetime.now(UTC)))

    async def post(self, request: Headers, receive: Receive) -> Answer:
        """The route. Raises `Refused`, `Unacceptable`, `ClientGone`."""
        began_us = time.time_ns() // 1000
        devices = await self.auth.devices(request)
        self.require_folder()
        with self.room.enter(devices[0].token_sha256):
            draft = self.store.draft(self.options.max_upload_bytes)
            try:
                sent = await self._receive(_Arrival(request, receive, draft, devices, began_us))
                return answer_json(200, await self.take(sent, draft, request))
            finally:
                await draft.discard()

    async def take(self, sent: SentChunk, draft: AudioDraft, request: Headers) -> dict[str, Any]:
        """Keep the file, claim it in the log; what a 200 says. Raises `Refused`."""
        if draft.size > draft.limit:
            raise self.too_large()
        if not draft.size:
            raise refusal(422, "Empty file")
        with storing():
            event = self._event(sent, await draft.keep())
            if sent.form.boot_id is not None:
                await self._reserve(event)
        path = await self.claims.claim(event, request)
        return {"status": "ok", "chunk_id": event["chunk_id"], "stored_path": path, "queued": True}

    def check(self, form: ChunkForm, devices: Sequence[Device], request: Headers) -> Span:
        """Hold a form against the device that sent it. Raises `Refused`, `Unacceptable`."""
        self.auth.choose(devices, form.who, request)
        return span(form, self.zone)

    def require_folder(self) -> None:
        """Raises `Refused`: 503 until the audio folder has been opened."""
        if not self.is_open:
            raise unavailable("The audio folder is not open yet")

    def too_large(self) -> Refused:
        """413 in the contract's words."""
        return refusal(413, f"File exceeds maximum size of {self.options.max_upload_bytes} bytes")

    async def _receive(self, arrival: _Arrival) -> SentChunk:
        """Read the body: text into a form, the file into the draft."""
        request = arrival.request
        if not request.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
            read_form({}, with_file=False)
        if int(request.get(b"content-length") or 0) > self.options.max_upload_bytes + LARGEST_FRAME:
            raise self.too_large()
        try:
            reader = FormReader(request[b"content-type"], FILE, arrival.draft)
            await self._read(arrival, reader)
        except BadForm as error:
            raise refusal(400, str(error)) from error
        return self._sent(arrival, reader, with_file=reader.file_complete)

    async def _read(self, arrival: _Arrival, reader: FormReader) -> None:
        is_checked = False
        async for data in arriving(arrival.receive, self.options):
            reader.feed(data)
            if reader.file_begun and not is_checked and reader.fields.keys() >= REQUIRED:
                self._sent(arrival, reader, with_file=True)  # refuse before the sound is sent
                is_checked = True
            if arrival.draft.size > arrival.draft.limit:
                raise self.too_large()
            with storing():
                await arrival.draft.drain()

    def _sent(self, arrival: _Arrival, reader: FormReader, *, with_file: bool) -> SentChunk:
        form = read_form(reader.fields, with_file=with_file)
        times = self.check(form, arrival.devices, arrival.request)
        offset_us = self.clocks.offset(form, times, arrival.began_us)
        return SentChunk(form, reader.fields["start_ts"], reader.fields["end_ts"], times, offset_us)

    async def _reserve(self, event: Mapping[str, Any]) -> None:
        name, digest = event["chunk_id"], event["sha256"]
        if await self.store.run(lambda: self._reservations.take(name, digest, datetime.now(UTC))) != digest:
            raise other_content()

    def _event(self, sent: SentChunk, stored: Stored) -> dict[str, Any]:
        form = sent.form
        start_us, end_us = sent.times.moved(sent.offset_us)
        device_id, point_id, register_id = form.who
        return {
            "chunk_id": chunk_id(form, sent.start, stored.sha256),
            "device_id": device_id,
            "point_id": point_id,
            "register_id": register_id,
            "start_us": start_us,
            "end_us": end_us,
            "sent_start": sent.start,
            "sent_end": sent.end,
            "site_zone": self._zone_name if sent.times.any_naive else None,
            "clock_offset_us": sent.offset_us,
            "codec": form.codec,
            "sample_rate": form.sample_rate,
            "channels": form.channels,
            "size_bytes": stored.size,
            "sha256": stored.sha256,
            "stored_path": stored.path,
            "received_us": time.time_ns() // 1000,
            "boot_id": form.boot_id,
            "sequence": form.sequence,
        }


@contextmanager
def storing() -> Generator[None]:
    """What the disk's failures are answered with: 507 where it is full, else 500."""
    try:
        yield
    except StoreFull as error:
        refused = refusal(507, str(error))
        refused.answer.headers = [*refused.answer.headers, (b"retry-after", b"60")]
        raise refused from error
    except StoreFailed as error:
        raise refusal(500, "Failed to save chunk") from error


@dataclass(frozen=True, slots=True)
class SentChunk:
    """A checked form, its times as texts and as numbers, and what the device's clock is off by (None: nothing)."""

    form: ChunkForm
    start: str
    end: str
    times: Span
    offset_us: int | None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """One request that is being read; it began to arrive at `began_us`."""

    request: Headers
    receive: Receive
    draft: AudioDraft
    devices: Sequence[Device]
    began_us: int
