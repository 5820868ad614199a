"""Who is who by face: pictures in, people out. Every access is told to the log before it is answered.

Whether a face belongs to somebody else is asked of the read model, enrolment by enrolment: each waits until the one
before can be found. Another instance of the API could enrol the same face for somebody else in that moment.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from fastapi import Request

from api import commanding
from api.commanding import Asked, Writes
from api.railway.parts import FaceTaken, Unrecognisable
from projections.queries import faces
from projections.queries.database import Database
from projections.queries.errors import Unavailable
from projections.queries.faces import Nearest
from schemas.envelope import KeyRing, seal
from schemas.errors import InvalidEvent, Overloaded, SensoriumError, TransientFailure
from schemas.faces import MODEL

log = logging.getLogger(__name__)

READ_MODEL: Final = "faces"
NOBODY: Final = "nobody"
NO_FACES: Final = "No faces"
TOO_MANY: Final = "Too many faces"
NOT_BASE64: Final = "Not an image: its base64 cannot be read"
UNUSABLE: Final = "The image cannot be worked on"
_REFUSALS: Final = {"unreadable": 503, "unknown_model": 422}


@dataclass(frozen=True, slots=True)
class FaceOptions:
    """`match_distance`: faces that are this far apart (Euclidean) or less are one person's; docs/faces.md says why.

    At most `waiting` pictures are looked at or wait for it; who comes then is told to come again.
    """

    match_distance: float = 0.5
    waiting: int = 16


@dataclass(frozen=True, slots=True)
class Described:
    """A face in a picture: `vector` is 128 little-endian float32."""

    vector: bytes
    quality: float


class Describe(Protocol):
    """Finds and describes faces, the largest first; `purpose` is `enrol` or `search`.

    Raises InvalidEvent for a picture that cannot be used, TransientFailure when it cannot be done now.
    """

    def __call__(self, picture: bytes, purpose: str, /) -> Awaitable[Sequence[Described]]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Seen:
    """What a search came to: whose face it is, and how far the nearest is (None: nobody is enrolled)."""

    user_id: str | None
    distance: float | None


@dataclass(frozen=True, slots=True)
class _Access:
    """Who wants what of faces."""

    purpose: str
    by: str | None
    user_id: str | None = None


class FaceDesk:
    """`api.railway.parts.Faces`, over the read model, the log and a describer. Belongs to one event loop."""

    def __init__(
        self,
        database: Database,
        writer: Writes,
        keyring: KeyRing,
        describe: Describe,
        now_us: Callable[[], int],
        options: FaceOptions = FaceOptions(),
    ) -> None:
        """`now_us`: UTC epoch microseconds, for the log of accesses."""
        self._database, self._writer, self._keyring = database, writer, keyring
        self._describe, self._now_us, self._options = describe, now_us, options
        self._enrolling = asyncio.Lock()
        self._looking = 0

    async def enrol(self, request: Request, user_id: str, image: str, by: str | None) -> None:
        """Let the one face of a picture stand for a person, in place of an earlier one.

        Raises:
            Unrecognisable: no picture, no face or several. FaceTaken: somebody else's. HTTPException: not decided.
        """
        access = _Access("enrol", by, user_id)
        vector = await self._only_face(image, access)
        async with self._enrolling:
            await self._keep_apart(vector, access)
            template = {"model": MODEL, "vector": vector}
            record = {
                "user_id": user_id,
                "face": seal(self._keyring, f"face/{user_id}", "FaceTemplate", template),
                "by": by,
            }
            meant = {"user_id": user_id, "image": sha256(image.encode()).hexdigest()}
            answer = await self._decided(request, "EnrolFace", record, meant)
        replaced = bool((answer or {}).get("replaced"))
        await self._tell(_Access("replace" if replaced else "enrol", by, user_id), "done")

    async def check(self, user_id: str, image: str, by: str | None) -> None:
        """Whether a picture could stand for a person. Raises Unrecognisable, FaceTaken."""
        access = _Access("check", by, user_id)
        await self._keep_apart(await self._only_face(image, access), access)

    async def search(self, image: str, by: str | None) -> str | None:
        """Whose face the largest one in a picture is; None: nobody known. Raises Unrecognisable."""
        return (await self.look(image, by)).user_id

    async def look(self, image: str, by: str | None) -> Seen:
        """The same with how far away the nearest face is. Raises Unrecognisable."""
        access = _Access("search", by)
        found = await self._faces(image, access, "search")
        if not found:
            raise await self._refused(access, NO_FACES)
        near = await self._nearest(found[0].vector)
        if near is None or near.distance > self._options.match_distance:
            await self._tell(access, "unknown", near and near.distance)
            return Seen(None, near and near.distance)
        await self._tell(_Access("search", by, near.user_id), "found", near.distance)
        return Seen(near.user_id, near.distance)

    async def remove(self, request: Request, user_id: str, by: str | None) -> None:
        """Forget a person's face, if there is one. Raises HTTPException: not decided."""
        await self._decided(request, "RemoveFace", {"user_id": user_id, "by": by}, {"user_id": user_id})
        await self._tell(_Access("delete", by, user_id), "done")

    async def has(self, user_id: str, by: str | None = None) -> bool:
        """Whether a face stands for a person."""
        there = await self._database.read(lambda connection: faces.has(connection, user_id, self._keyring))
        await self._tell(_Access("check", by, user_id), "yes" if there else "no")
        return there

    async def everybody(self, by: str | None) -> Sequence[str]:
        """The ids of all who have a face, the first enrolled first."""
        ids = await self._database.read(lambda connection: faces.everybody(connection, self._keyring))
        await self._tell(_Access("list", by), str(len(ids)))
        return ids

    async def _keep_apart(self, vector: bytes, access: _Access) -> None:
        """Raise FaceTaken for a face of somebody else."""
        near = await self._nearest(vector, but=access.user_id)
        if near is not None and near.distance < self._options.match_distance:
            await self._tell(access, "taken", near.distance)
            raise FaceTaken

    async def _only_face(self, image: str, access: _Access) -> bytes:
        found = await self._faces(image, access, "enrol")
        if len(found) != 1:
            raise await self._refused(access, TOO_MANY if found else NO_FACES)
        return found[0].vector

    async def _faces(self, image: str, access: _Access, purpose: str) -> Sequence[Described]:
        if self._looking >= self._options.waiting:
            raise Unavailable("Too many pictures are being looked at.")
        self._looking += 1
        try:
            return await self._describe(await asyncio.to_thread(decoded, image), purpose)
        except Unrecognisable as unusable:
            raise await self._refused(access, str(unusable)) from unusable
        except InvalidEvent as unusable:
            raise await self._refused(access, str(unusable)) from unusable
        except (TransientFailure, Overloaded) as away:
            raise Unavailable("Faces cannot be looked at now.") from away
        except SensoriumError as crashed:  # the picture took too long or too much, or broke the decoder
            log.warning("A picture for %s cannot be worked on: %s", access.purpose, crashed)
            raise await self._refused(access, UNUSABLE) from crashed
        finally:
            self._looking -= 1

    async def _nearest(self, vector: bytes, but: str | None = None) -> Nearest | None:
        return await self._database.read(
            lambda connection: faces.nearest(connection, vector, MODEL, self._keyring, but=but)
        )

    async def _decided(
        self, request: Request, command: str, record: Mapping[str, Any], meant: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        asked = Asked(command, record["user_id"], record, READ_MODEL, _REFUSALS)
        return (await commanding.decided(request, self._writer, asked, meant)).result

    async def _refused(self, access: _Access, why: str) -> Unrecognisable:
        await self._tell(access, why)
        return Unrecognisable(why)

    async def _tell(self, access: _Access, outcome: str, distance: float | None = None) -> None:
        """Keep who asked what. Raises Unavailable when the log does not take it: no answer without a trace."""
        record = {
            "access_id": str(uuid.uuid4()),
            "purpose": access.purpose,
            "user_id": access.user_id,
            "outcome": outcome,
            "distance": distance,
            "at_us": self._now_us(),
            "by": access.by,
        }
        try:
            await self._writer.tell("FaceAccessed", access.user_id or NOBODY, record)
        except (TransientFailure, Overloaded) as away:
            raise Unavailable("What is asked about faces cannot be kept now.") from away


def decoded(image: str) -> bytes:
    """The bytes of a picture in standard base64; line ends are passed over. Raises Unrecognisable."""
    try:
        return base64.b64decode(image.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unrecognisable(NOT_BASE64) from error
