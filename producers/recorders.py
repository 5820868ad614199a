"""Puts together what recorders need: tokens, store, chunks, reports, resumable uploads; and their routes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import Any, Final, Protocol

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from producers.answers import Answer, AsgiApp, Headers, Receive, Refused, Scope, Send, problem, refusal, send_answer
from producers.appending import Appender
from producers.audio_retention import keep_tidy
from producers.audio_store import AudioStore, StoreFailed, StoreFull
from producers.bodies import ClientGone
from producers.chunks import Chunks
from producers.cors import Cors
from producers.device_auth import DeviceAuth
from producers.device_tokens import DeviceDirectory
from producers.leniency import TooMuch, Unacceptable
from producers.raw_responses import raw
from producers.recorder_declared import CHUNK, DROPS, SILENCE, UPLOAD
from producers.recorder_limits import RecorderOptions
from producers.reports import Reports
from producers.uploads import PATH as UPLOADS
from producers.uploads import VERSION, Uploads

log = logging.getLogger(__name__)

RETRY_S: Final = 2.0
_UPLOAD: Final = UPLOADS + "/{upload_id}"
# Shows the padlock in the documentation; decides nothing.
_SHOWN: Final = [
    Depends(HTTPBearer(scheme_name="device_token", description="The token of a recorder.", auto_error=False))
]
_TUS: Final = ((b"tus-resumable", VERSION),)

Handler = Callable[[Headers, Receive], Awaitable[Answer]]
UploadHandler = Callable[[Headers, Receive, str], Awaitable[Answer]]


class Directory(DeviceDirectory, Protocol):
    """A directory that is started and stopped with the gateway."""

    def start(self) -> None:
        """Begin to read."""
        ...

    async def stop(self) -> None:
        """Let go."""
        ...


class Recorders:
    """The recorders' part of a gateway: `hot_routes` for its dispatcher, `router()` for its app."""

    def __init__(
        self,
        options: RecorderOptions,
        directory: Directory,
        appender: Appender,
        cors: Cors,
        zone: tuple[tzinfo | None, str],
    ) -> None:
        """`zone` is where times without an offset are read (None: the machine's), and what events call it."""
        self.directory = directory
        self.store = AudioStore(options.audio_folder, min_free_bytes=options.min_free_bytes)
        self.chunks = Chunks(options, self.store, DeviceAuth(directory, appender), appender, zone)
        self.reports = Reports(self.chunks)
        self.uploads = Uploads(self.chunks)
        self._is_tried = False
        self._cors = cors
        self._keep_days = options.keep_days
        self._under_way: list[asyncio.Task[None]] = []
        self.hot_routes: dict[tuple[str, str], AsgiApp] = {
            ("POST", "/api/v1/chunks"): self._app(self.chunks.post),
            ("POST", "/api/v1/silences"): self._app(self.reports.silence),
            ("POST", "/api/v1/recorders/drops"): self._app(self.reports.drops),
        }

    @property
    def ready(self) -> bool:
        """Whether all tokens registered before the start are known, and the audio folder is open or known not to be."""
        return self.directory.ready and self._is_tried

    def start(self) -> None:
        """Begin to read tokens and to open the folder, again and again until it works; returns at once."""
        self.directory.start()
        self._under_way.append(asyncio.create_task(self._open(), name="audio-folder"))
        if self._keep_days is not None:
            tidying = keep_tidy(self.store.folder, self._keep_days)
            self._under_way.append(asyncio.create_task(tidying, name="audio-retention"))

    async def stop(self) -> None:
        """Let go of tokens and folder."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self.directory.stop()
        await self.store.close()

    def health(self) -> dict[str, Any]:
        """What `/health` says of it, from memory."""
        return {
            "storage_writable": self.chunks.is_open and self.store.writable,
            "device_tokens": {"ready": self.directory.ready},
            "uploads_under_way": self.chunks.room.taken,
        }

    def router(self) -> APIRouter:
        """All routes, for OpenAPI and for what comes past the dispatcher."""
        routes = APIRouter(tags=["recorders"])
        said = {"/api/v1/chunks": CHUNK, "/api/v1/silences": SILENCE, "/api/v1/recorders/drops": DROPS}
        for (method, path), app in self.hot_routes.items():
            routes.add_api_route(path, raw(app), methods=[method], openapi_extra=said[path], dependencies=_SHOWN)
        uploads = self.uploads
        for method, path, handler in (
            ("OPTIONS", UPLOADS, _without_id(uploads.options)),
            ("POST", UPLOADS, _without_id(uploads.create)),
            ("HEAD", _UPLOAD, lambda request, _receive, upload_id: uploads.head(request, upload_id)),
            ("PATCH", _UPLOAD, uploads.patch),
            ("DELETE", _UPLOAD, lambda request, _receive, upload_id: uploads.delete(request, upload_id)),
        ):
            app, shown = self._upload_app(handler), [] if method == "OPTIONS" else _SHOWN
            routes.add_api_route(path, raw(app), methods=[method], openapi_extra=UPLOAD[method], dependencies=shown)
        return routes

    async def _open(self) -> None:
        while True:
            try:
                await self.chunks.open()
                await self.uploads.open()
                self.chunks.is_open = True
            except (StoreFull, StoreFailed, Refused) as error:
                log.warning("the audio folder %s cannot be used: %s", self.store.folder, error)
                self._is_tried = True
                await asyncio.sleep(RETRY_S)
            else:
                self._is_tried = True
                return

    def _app(self, handler: Handler) -> AsgiApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers: Headers = dict(scope["headers"])
            answer = await self._answer(lambda: handler(headers, receive))
            if answer is not None:
                await send_answer(send, answer, self._cors.headers(headers))

        return app

    def _upload_app(self, handler: UploadHandler) -> AsgiApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers: Headers = dict(scope["headers"])
            upload_id: str = scope["path_params"].get("upload_id", "")
            answer = await self._answer(lambda: handler(headers, receive, upload_id))
            if answer is not None:
                more = [one for one in _TUS if one not in answer.headers]
                await send_answer(send, answer, more)

        return app

    async def _answer(self, handle: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """What to say, refusals included; None where nobody is left."""
        try:
            return await handle()
        except Refused as refused:
            return refused.answer
        except Unacceptable as error:
            return refusal(error.status, error.detail).answer
        except TooMuch as error:
            return problem(413, str(error)).answer
        except ClientGone:
            return None


def _without_id(handler: Handler) -> UploadHandler:
    return lambda request, receive, _upload_id: handler(request, receive)
