"""What the railway's routes may answer besides 200: declared for the documentation, worded in one place. Pure."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from fastapi import HTTPException
from pydantic import BaseModel

from api.railway.parts import Faces, FaceTaken, Railway, Unrecognisable

RETRY_S: Final = "2"
NOT_RECOGNISED: Final = "Can`t recognize face"
FACE_TAKEN: Final = "Face already exists"


class Refusal(BaseModel):
    """Why not, in a sentence."""

    detail: str


class Fault(BaseModel):
    """What is wrong with one part of a request."""

    type: str
    loc: list[int | str]
    msg: str
    input: Any = None
    ctx: dict[str, Any] | None = None


class Unfit(BaseModel):
    """A request that cannot be read, or a picture in which nobody can be recognised (then a sentence)."""

    detail: list[Fault] | str


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these, and with what every route may: 400, 413, 422, 503.

    400: a body that is no text at all.
    """
    told: dict[int | str, dict[str, Any]] = {status: {"model": Refusal} for status in (400, 413, 503, *statuses)}
    return told | {422: {"model": Unfit}}


def desk(railway: Railway) -> Faces:
    """Who knows faces. Raises HTTPException 503 where nobody does."""
    if railway.faces is None:
        raise HTTPException(503, "Faces are not recognised here", {"Retry-After": RETRY_S})
    return railway.faces


@contextmanager
def told_of_faces(unrecognisable: str | None = None) -> Generator[None]:
    """Turn what is wrong with a picture into 422 (with this text, or what the desk says) and 409."""
    try:
        yield
    except Unrecognisable as unusable:
        raise HTTPException(422, unrecognisable or str(unusable)) from unusable
    except FaceTaken as taken:
        raise HTTPException(409, FACE_TAKEN) from taken
