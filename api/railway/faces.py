"""The face server: enrol, search, delete and check faces (seed 003). Wants a role from wherever one comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from pydantic import AfterValidator, BaseModel, Field

from api.railway.face_desk import FaceDesk
from api.railway.fields import IMAGE, STORABLE, Ok
from api.railway.parts import FaceTaken, Railway
from api.railway.refusals import declared, desk, told_of_faces

USER_EXISTS: Final = "User already exists"
NOBODY_ENROLLED: Final = "User not found"
NOT_FOUND: Final = "Not found"
_UUID: Final = 36


def _lower(value: str) -> str:
    """A UUID means the same in any letter case."""
    return value.lower() if len(value) == _UUID and value.count("-") == 4 else value


UserId = Annotated[str, Field(min_length=1, max_length=128), STORABLE, AfterValidator(_lower)]
UserInPath = Annotated[str, Path(min_length=1, max_length=128), STORABLE, AfterValidator(_lower)]
Image = Annotated[str, Field(max_length=IMAGE, description="Standard base64 of a JPEG, PNG, WebP or BMP file")]


class NewFace(BaseModel):
    """A picture with the one face of a person, each side 100 to 10,000 pixels, at most 40 megapixels."""

    user_id: UserId
    image: Image


class Wanted(BaseModel):
    """A picture; the largest face in it counts."""

    image: Image


class Person(BaseModel):
    """Whose face it is."""

    user_id: str


class Known(BaseModel):
    """Whether a face stands for a person."""

    status: bool


def build(railway: Railway) -> APIRouter:
    """The routes of the face server."""
    router = APIRouter(tags=["faces"], responses=declared(401, 403))
    _add_writing(router, railway)
    _add_reading(router, railway)
    return router


def _add_writing(router: APIRouter, railway: Railway) -> None:
    allowed: Any = Depends(railway.biometrics or railway.admin)

    @router.post("/face", summary="Enrol a face", responses=declared(401, 403, 409))
    async def enrol(request: Request, new: NewFace, by: str | None = allowed) -> Ok:
        """Let this face stand for a person, in place of an earlier one. 409: it is somebody else's.

        422 with a sentence: `No faces`, `Too many faces`, `Image too big`, `Image too small`, or no picture at all.
        """
        with told_of_faces():
            try:
                await _desk(railway).enrol(request, new.user_id, new.image, by)
            except FaceTaken as taken:
                raise HTTPException(409, USER_EXISTS) from taken
        return Ok()

    @router.delete("/face/{user_id}", summary="Delete a face")
    async def delete(request: Request, user_id: UserInPath, by: str | None = allowed) -> Ok:
        """Forget a person's face; done already where there is none."""
        await _desk(railway).remove(request, user_id, by)
        return Ok()


def _add_reading(router: APIRouter, railway: Railway) -> None:
    allowed: Any = Depends(railway.biometrics or railway.admin)

    @router.post("/search", summary="Whose face is it?", responses=declared(401, 403, 404))
    async def search(wanted: Wanted, by: str | None = allowed) -> Person:
        """Whose face the largest one in a picture is. 404: `Not found`, or `User not found` while nobody is enrolled.

        422 with a sentence: `No faces`, `Image too big`, or no picture at all.
        """
        with told_of_faces():
            seen = await _desk(railway).look(wanted.image, by)
        if seen.user_id is None:
            raise HTTPException(404, NOBODY_ENROLLED if seen.distance is None else NOT_FOUND)
        return Person(user_id=seen.user_id)

    @router.get("/faces", summary="Who has a face here?")
    async def everybody(by: str | None = allowed) -> Sequence[Person]:
        """Everybody who has one, the first enrolled first; a bare list."""
        return [Person(user_id=one) for one in await _desk(railway).everybody(by)]

    @router.get("/check/{user_id}", summary="Has this person a face here?")
    async def check(user_id: UserInPath, by: str | None = allowed) -> Known:
        """Whether a face stands for a person."""
        return Known(status=await _desk(railway).has(user_id, by))


def _desk(railway: Railway) -> FaceDesk:
    return cast("FaceDesk", desk(railway))
