"""What recorders tell besides sound, as JSON: silences and recordings that were deleted unsent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from producers.answers import Answer, Headers, Receive, answer_json
from producers.bodies import is_json
from producers.chunks import Chunks
from producers.device_auth import TOPIC
from producers.leniency import not_json, read_json
from producers.recorder_forms import Drops, F, Silence, epoch_us, read_report, span
from producers.recorder_limits import read_small
from schemas.serde import encode


class Reports:
    """The two routes; they let in, read times and correct clocks as `Chunks` does."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks

    async def silence(self, request: Headers, receive: Receive) -> Answer:
        """POST /api/v1/silences. Raises `Refused`, `Unacceptable`, `ClientGone`."""
        now_us = time.time_ns() // 1000
        sent = await self._read(Silence, request, receive)
        times = span(sent, self._chunks.zone)
        offset_us = self._chunks.clocks.offset(sent, times, now_us)
        start_us, end_us = times.moved(offset_us)
        report = {"start_us": start_us, "end_us": end_us, "clock_offset_us": offset_us}
        report |= {"boot_id": sent.boot_id, "sequence": sent.sequence}
        return await self._append("SilenceReported", sent.who, report, request)

    async def drops(self, request: Headers, receive: Receive) -> Answer:
        """POST /api/v1/recorders/drops. Raises `Refused`, `Unacceptable`, `ClientGone`."""
        sent = await self._read(Drops, request, receive)
        zone = self._chunks.zone
        report = {
            "files": sent.files,
            "bytes": sent.bytes,
            "oldest_us": None if sent.oldest_ts is None else epoch_us(sent.oldest_ts, zone),
            "newest_us": None if sent.newest_ts is None else epoch_us(sent.newest_ts, zone),
            "reason": sent.reason,
            "report_id": str(sent.report_id),
        }
        return await self._append("RecordingsDropped", sent.who, report, request)

    async def _read(self, kind: type[F], request: Headers, receive: Receive) -> F:
        """Let in, read, validate, hold against the registration."""
        devices = await self._chunks.auth.devices(request)
        with self._chunks.room.enter(devices[0].token_sha256):
            body = await read_small(receive, request, self._chunks.options)
        if not is_json(request):
            raise not_json(body)
        sent = read_report(kind, read_json(body))
        self._chunks.auth.choose(devices, sent.who, request)
        return sent

    async def _append(
        self, event: str, who: tuple[str, str, str], report: Mapping[str, Any], request: Headers
    ) -> Answer:
        device_id, point_id, register_id = who
        record = {"device_id": device_id, "point_id": point_id, "register_id": register_id}
        record |= {"received_us": time.time_ns() // 1000, **report}
        draft = self._chunks.appender.draft(event, TOPIC, device_id, encode(event, record), request)
        await self._chunks.appender.append([draft], wait=False)
        return answer_json(200, {"status": "ok"})
