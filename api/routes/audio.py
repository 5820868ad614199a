"""Recorded sound: files for the workers of seed 002 (INTERNAL_TOKEN), chunks and dialogues for people to listen to."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from api.answers import is_known
from api.audio_files import AudioFiles, AudioOptions, NoFile, TooLong, Unplayable, stored_path
from projections.queries import audio
from projections.queries.database import Database
from schemas.errors import TransientFailure

OGG: Final = "audio/ogg"
INTERNAL: Final = "/api/v1/internal/chunks/{chunk_id}"
HEARD: Final = "/v1/sales"
NO_CHUNK: Final = "Chunk not found"
NO_FILE: Final = "Chunk file not found on disk"
NO_DIALOGUE: Final = "Dialogue not found"

Admin = Callable[..., Awaitable[Any]]
Digest = Annotated[
    str | None,
    Query(
        alias="sha256",
        pattern=r"^[0-9a-f]{64}$",
        description="The file's SHA-256, as its claim in the log says: found without waiting for the read model.",
    ),
]


def build(database: Database, options: AudioOptions, admin: Admin) -> APIRouter:
    """The routes over one database and one folder; `admin` is a dependency that refuses by raising HTTPException."""
    router = APIRouter(tags=["audio"])
    sounds = Sounds(database, AudioFiles(options))
    _add_internal(router, sounds, InternalToken(options.internal_token))
    _add_listening(router, sounds, admin)
    return router


class InternalToken:
    """Lets workers in: a FastAPI dependency with the contract's words."""

    def __init__(self, token: str) -> None:
        self._hash = sha256(token.encode()).digest() if token else None

    async def __call__(self, request: Request) -> None:
        """Raises HTTPException 401."""
        if self._hash is None:
            raise _not_let_in("Internal endpoint not configured")
        sent = request.headers.get("authorization")
        if sent is None:
            raise _not_let_in("Missing Authorization header")
        if not sent.startswith("Bearer "):
            raise _not_let_in("Invalid authorization scheme")
        presented = sha256(sent.removeprefix("Bearer ").encode("latin-1")).digest()
        if not hmac.compare_digest(presented, self._hash):
            raise _not_let_in("Invalid internal token")


class Sounds:
    """From ids to files. Raises HTTPException 404, 413, 500, 503."""

    def __init__(self, database: Database, files: AudioFiles) -> None:
        self._database, self._files = database, files

    async def chunk(self, chunk_id: UUID, digest: str | None = None) -> tuple[Path, str]:
        """A chunk's file and its SHA-256."""
        path = None if digest is None else stored_path(digest)
        if path is None or digest is None:
            row = await self._database.read(partial(audio.chunk, chunk_id=chunk_id))
            if row is None:
                raise HTTPException(404, NO_CHUNK)
            path, digest = str(row["file_path"]), str(row["sha256"])
        try:
            return self._files.find(path), digest
        except NoFile as error:
            raise HTTPException(404, NO_FILE) from error

    async def dialogue(self, dialogue_id: UUID) -> tuple[Path, str]:
        """A dialogue's file and the name of its content."""
        pieces = await self._database.read(partial(audio.pieces, dialogue_id=dialogue_id))
        if not pieces:
            raise HTTPException(404, NO_DIALOGUE)
        try:
            return await self._files.dialogue(pieces)
        except NoFile as error:
            raise HTTPException(404, NO_FILE) from error
        except TooLong as error:
            raise HTTPException(413, str(error)) from error
        except Unplayable as error:
            raise HTTPException(500, str(error)) from error
        except TransientFailure as error:
            raise HTTPException(503, str(error), {"Retry-After": "5"}) from error


class WholeFile(FileResponse):
    """A file whatever range is asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, without the request's Range."""
        rest = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": rest}, receive, send)


def _add_internal(router: APIRouter, sounds: Sounds, internal: InternalToken) -> None:
    only = [Depends(internal)]

    @router.get(f"{INTERNAL}/file", summary="A chunk's whole file", dependencies=only, response_class=FileResponse)
    async def get_file(chunk_id: UUID) -> Response:
        """As seed 002's workers fetch it: always all of it."""
        path, _ = await sounds.chunk(chunk_id)
        answer = WholeFile(path, media_type=OGG, filename=f"chunk_{chunk_id}.ogg")
        del answer.headers["accept-ranges"]
        return answer

    @router.get(f"{INTERNAL}/audio", summary="A chunk's sound", dependencies=only, response_class=FileResponse)
    async def get_audio(request: Request, chunk_id: UUID, digest: Digest = None) -> Response:
        """With Range and ETag; `sha256` finds a file that the read model does not know yet."""
        return _playable(request, *await sounds.chunk(chunk_id, digest))


def _add_listening(router: APIRouter, sounds: Sounds, admin: Admin) -> None:
    only = [Depends(admin)]

    @router.get(
        f"{HEARD}/chunks/{{chunk_id}}/audio", summary="Hear a chunk", dependencies=only, response_class=FileResponse
    )
    async def hear_chunk(request: Request, chunk_id: UUID) -> Response:
        """Ogg as recorded, with Range."""
        return _playable(request, *await sounds.chunk(chunk_id))

    @router.get(
        f"{HEARD}/dialogues/{{dialogue_id}}/audio",
        summary="Hear a dialogue",
        dependencies=only,
        response_class=FileResponse,
    )
    async def hear_dialogue(request: Request, dialogue_id: UUID) -> Response:
        """Its speech end to end, without the pauses: times in it are those of the transcript. With Range."""
        return _playable(request, *await sounds.dialogue(dialogue_id))


def _playable(request: Request, path: Path, name: str) -> Response:
    """The file with Range, ETag and 304; shared caches must not keep voices."""
    headers = {"ETag": f'"{name}"', "Cache-Control": "private, no-cache"}
    if is_known(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type=OGG, headers=headers)


def _not_let_in(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
