"""The composition root's part for faces: who describes pictures, and the gallery that a stream compares with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.railway.face_desk import Describe, Described
    from schemas.envelope import KeyRing
    from streams.gallery import FollowedGallery
    from streams.workers.pool import ChildPool

MEMORY_BYTES = 1 << 30
"""Address space of one child; it takes 460 MB for a picture of 12 megapixels, 120 MB of them resident."""
PICTURE_S = 15.0
MATCH_DISTANCE = 0.5


def pool(size: int = 1, *, models: str | None = None, warm: bool = False) -> ChildPool:
    """Children that find and describe faces; `models` is a folder, by default that of the package of model data."""
    from streams.workers.pool import ChildLimits, ChildPool

    limits = ChildLimits(memory_bytes=MEMORY_BYTES, seconds=PICTURE_S, load_s=60.0, nice=2)
    options = {"models": models} if models else {}
    return ChildPool("streams.workers.faces:open_worker", options, limits, size=size, warm=warm)


def describer(children: ChildPool) -> Describe:
    """What the desk asks about a picture."""
    from api.railway.face_desk import Described

    async def describe(picture: bytes, purpose: str, /) -> Sequence[Described]:
        answer = await children({"picture": picture, "purpose": purpose})
        return [Described(one["vector"], one["quality"]) for one in answer["faces"]]

    return describe


def gallery(bootstrap: str, keyring: KeyRing, match_distance: float = MATCH_DISTANCE) -> FollowedGallery:
    """The capability `gallery` of the processor `security.matches`."""
    from streams.gallery import FollowedGallery, Gallery

    return FollowedGallery(bootstrap, Gallery(keyring, match_distance))
