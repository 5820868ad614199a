"""What a scenario may have its runner open: whoever starts scenarios names any file, and a site may say which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from schemas.errors import InvalidEvent
from streams.steps import Heavy
from streams.vision.addresses import is_address, is_camera, nameless

_SEE: Final = "(see RUNNER_SOURCES)"


def is_permitted(source: str, permitted: Sequence[str]) -> bool:
    """Whether one of the entries names the source, a folder it lies in, or how its address begins; none: any may be.

    Links are followed and `..` is taken out first, so nobody leaves a folder by them.
    """
    return not permitted or any(_covers(entry, source) for entry in permitted)


def _covers(entry: str, source: str) -> bool:
    if entry == source or is_camera(source):
        return entry == source  # a camera's number lies in no folder
    if is_address(source) or is_address(entry):
        # An address may leave its folder, too, and where it leads then is only known to its server.
        return ".." not in unquote(source) and source.startswith(entry.rstrip("/") + "/")
    return Path(source).resolve().is_relative_to(Path(entry).resolve())


def only(permitted: Sequence[str], look: Heavy) -> Heavy:
    """`look`, asked about permitted sources and models only; others raise InvalidEvent."""

    async def looked(request: Mapping[str, Any], /) -> Mapping[str, Any]:
        source = request.get("source")
        if source is not None and not is_permitted(source, permitted):
            raise InvalidEvent(f"failed_to_read_frame: this runner may not look at {nameless(source)} {_SEE}")
        model = (request.get("settings") or {}).get("model")
        if model and not is_permitted(str(model), permitted):
            raise InvalidEvent(f"inference_error: this runner may not load {model} {_SEE}")
        return await look(request)

    return looked
