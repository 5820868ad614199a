"""The gateway: takes the seeds' posts, appends them to the log, answers when Kafka has them. Knows no database."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from producers import points, totals
from producers.admission import Admission, own_names
from producers.answers import (
    Answer,
    AsgiApp,
    Headers,
    Prepared,
    Receive,
    Refused,
    Scope,
    Send,
    answer_json,
    problem,
    refusal,
    send_answer,
    unless_async,
)
from producers.appending import Appender
from producers.bodies import ClientGone, Limits, Traffic, is_json, prefers_async, read_body
from producers.cors import Cors
from producers.device_tokens import DeviceTokens
from producers.frames import Frame, FrameStore, decode_frame
from producers.health import KafkaWatch
from producers.leniency import FramePost, TooMuch, Unacceptable, not_json, read_frame, read_totals
from producers.publisher import Publisher
from producers.recorder_limits import RecorderOptions
from producers.recorders import Directory, Recorders
from producers.replies import ReplyReader
from producers.times import UnreadableTime
from producers.truncation import truncate
from schemas.envelope import KeyRing

POINTS_TOPIC = "emotion.points"
TOTALS_TOPIC = "emotion.totals"
_BIG_BODY: Final = 1 << 18  # read beside the event loop, so that others are answered meanwhile
_READERS: Final = 2  # bodies so read at once: one of 16 MiB can take 300 MB while it is

T = TypeVar("T")
Handler = Callable[[bytes, Headers], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What a gateway is told: addresses, secrets, zones, limits; seconds for Kafka's acknowledgement and a reply.

    `recorders` None: it takes no sound, and needs neither an audio folder nor the topic of device tokens.
    """

    bootstrap: str
    keyring: KeyRing
    admin_token: str | None = None
    trusted_networks: tuple[str, ...] = ()
    host_names: tuple[str, ...] = field(default_factory=own_names)
    cors_origins: tuple[str, ...] = ()
    site_zone: str | None = None
    kafka_deadline_s: float = 5.0
    reply_wait_s: float = 2.0
    limits: Limits = field(default_factory=Limits)
    recorders: RecorderOptions | None = None


def calm_garbage_collector() -> None:
    """Keep the collector from walking over everything imported, in a process that answers requests from now on.

    Requests leave no cycles behind, so rare collections are enough; a fifth more requests a second was measured.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


class Gateway:
    """One process's gateway: the raw routes in `hot_routes`, everything it shares as attributes."""

    def __init__(
        self,
        options: GatewayOptions,
        *,
        publisher: Publisher | None = None,
        replies: ReplyReader | None = None,
        directory: Directory | None = None,
    ) -> None:
        self.options = options
        self.publisher = publisher or Publisher(
            options.bootstrap, client_id="gateway", deadline_s=options.kafka_deadline_s
        )
        self.replies = replies or ReplyReader(options.bootstrap, uuid.uuid4().hex, wait_s=options.reply_wait_s)
        self.appender = Appender(self.publisher, self.replies)
        self.kafka = KafkaWatch(self.publisher, POINTS_TOPIC)
        self.frames = FrameStore()
        self.cors = Cors(options.cors_origins)
        self.admission = Admission(options.admin_token, options.trusted_networks, options.host_names, self.cors.origins)
        self.neighbours: Callable[[], dict[str, Any]] = dict
        """What `/health` says of others at this origin, from memory."""
        self.traffic = Traffic(options.limits)
        self._readers = asyncio.Semaphore(_READERS)
        self.zone = ZoneInfo(options.site_zone) if options.site_zone else None
        self.zone_name = options.site_zone or "local"
        bulk, batch, frame = self.route(self.bulk), self.route(self.batch), self.route(self.frame)
        self.hot_routes: dict[tuple[str, str], AsgiApp] = {
            ("POST", "/v1/logs/bulk"): bulk,
            ("POST", "/api/v1/logs/bulk"): bulk,
            ("POST", "/api/emotions/batch"): batch,
            ("POST", "/api/stream/frame"): frame,
        }
        self.recorders: Recorders | None = None
        if options.recorders:
            known = directory or DeviceTokens(options.bootstrap)
            zone = (self.zone, self.zone_name)
            self.recorders = Recorders(options.recorders, known, self.appender, self.cors, zone)

    @property
    def ready(self) -> bool:
        """Whether Kafka answers, replies are read, device tokens are known: posts before that are 503."""
        return self.replies.ready and self.kafka.reachable and (self.recorders is None or self.recorders.ready)

    async def start(self) -> None:
        """Begin to watch Kafka and to read replies; returns at once, `ready` says when it is done."""
        calm_garbage_collector()
        await self.replies.start()
        self.kafka.start()
        if self.recorders:
            self.recorders.start()

    async def stop(self) -> None:
        """Finish what is under way and let go of Kafka."""
        await self.kafka.stop()
        if self.recorders:
            await self.recorders.stop()
        await self.replies.stop()
        await asyncio.to_thread(self.publisher.close)

    def route(self, handler: Handler) -> AsgiApp:
        """A raw ASGI app of a handler of JSON bodies: admission, limits, reading, CORS and refusals around it."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers: Headers = dict(scope["headers"])
            try:
                with self.traffic.enter(self.admission.admit(scope, headers)) as passage:
                    body = await read_body(receive, headers, passage)
                    if not is_json(headers):
                        raise not_json(body)
                    answer = await handler(body, headers)
            except (Refused, Unacceptable, TooMuch) as error:
                answer = _refusing_answer(error)
            except ClientGone:
                return
            await send_answer(send, answer, self.cors.headers(headers))

        return app

    async def bulk(self, body: bytes, request: Headers) -> Answer:
        """POST /v1/logs/bulk: one post of points, either dialect, becomes one event (several beyond 10,000 points)."""
        most = self.options.limits.records
        try:
            post = points.event_of_one(body, self.zone, self.zone_name)
            if post is None:
                post = await self._read(body, lambda: points.events(body, self.zone, self.zone_name, most))
        except UnreadableTime as error:
            raise refusal(400, f"Bad absolute_time: {error.text}", index=error.index) from error
        if not post.values:
            return answer_json(200, {"ok": True, "inserted": 0, "person_id": None})
        wait = not prefers_async(request)
        drafts = [
            self.appender.draft("EmotionPointsRecorded", POINTS_TOPIC, post.device_id, value, request)
            for value in post.values
        ]
        replies = await self.appender.append(drafts, wait=wait)
        return answer_json(200, _bulk_content(post.anonymous, replies)) if wait else _ACCEPTED[post.anonymous]

    async def batch(self, body: bytes, request: Headers) -> Answer:
        """POST /api/emotions/batch: cumulative times of everybody a device knows."""
        limits = self.options.limits
        post = await self._read(body, lambda: read_totals(body, limits.people))
        content = {"status": "ok", "updated_count": len(post.people)}
        if not post.people:
            return answer_json(200, content)
        at_us = totals.reported_at_us(post, self.zone, time.time_ns() // 1000)
        value = totals.event(post, at_us, self.options.keyring)
        wait = not prefers_async(request)
        draft = self.appender.draft("EmotionTotalsReported", TOTALS_TOPIC, post.device_id, value, request)
        await self.appender.append([draft], wait=wait)
        return unless_async(wait, content)

    async def frame(self, body: bytes, _request: Headers) -> Answer:
        """POST /api/stream/frame: the newest picture of a device; it is kept here and nowhere else."""
        post, jpeg = await self._read(body, lambda: _read_picture(body))
        if jpeg is None:
            raise refusal(400, "Invalid base64 frame")
        self.frames.put(post.device_id, Frame(jpeg, post.fps))
        return answer_json(200, {"status": "ok"})

    async def truncate(self, request: Headers, scope: Scope) -> Answer:
        """POST /admin/truncate: empty the emotion log, for whoever has ADMIN_TOKEN or a role for it."""
        self.admission.require_token(request, scope)
        wait = not prefers_async(request)
        return await truncate(self.appender, self.options.bootstrap, POINTS_TOPIC, request, wait=wait)

    def health(self) -> dict[str, Any]:
        """What `/health` says; from memory, so it never waits for Kafka."""
        report = {
            "ok": self.ready,
            "status": "ok" if self.ready else "unavailable",
            "kafka": self.kafka.report(),
            "replies": {"ready": self.replies.ready},
            "posts_under_way": self.traffic.posts,
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        return report | (self.recorders.health() if self.recorders else {}) | self.neighbours()

    async def _read(self, body: bytes, read: Callable[[], T]) -> T:
        """Read a small body here and a big one in a thread, a few of those at once."""
        if len(body) < _BIG_BODY:
            return read()
        async with self._readers:
            return await asyncio.to_thread(read)


def _refusing_answer(error: Refused | Unacceptable | TooMuch) -> Answer:
    if isinstance(error, Unacceptable):
        error = refusal(error.status, error.detail)
    elif isinstance(error, TooMuch):
        error = problem(413, str(error))
    return error.answer


def _read_picture(body: bytes) -> tuple[FramePost, bytes | None]:
    post = read_frame(body)
    return post, decode_frame(post.frame_b64)


def _bulk_content(anonymous: bool, replies: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """What a bulk answer says; `inserted` is null unless the read model has answered for the whole post."""
    known = [reply["inserted"] for reply in replies if reply is not None and reply["inserted"] is not None]
    whole = bool(replies) and len(known) == len(replies)
    content: dict[str, Any] = {"ok": True, "inserted": sum(known) if whole else None}
    if anonymous:
        content["person_id"] = next((reply["person_id"] for reply in replies if reply is not None), None)
    return content


_ACCEPTED = {anonymous: Prepared(unless_async(False, _bulk_content(anonymous, ()))) for anonymous in (False, True)}
"""The answers to who did not want to wait: nothing is known but that the log has the post."""
