"""What a scenario may have its runner look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InvalidEvent
from streams.runner.sources import is_permitted, only
from streams.runner.worker import RunnerOptions, permitted


@pytest.mark.parametrize(
    ("entry", "source", "may"),
    [
        ("0", "0", True),
        ("0", "1", False),
        (".", "0", False),
        ("videos", "videos/a.mp4", True),
        ("videos/", "videos/deep/a.mp4", True),
        ("videos", "videos2/a.mp4", False),
        ("videos", "videos/../etc/passwd", False),
        ("videos", "/etc/passwd", False),
        ("rtsp://cam.local", "rtsp://cam.local", True),
        ("rtsp://cam.local", "rtsp://cam.local/stream?a=1", True),
        ("rtsp://cam.local", "rtsp://cam.local.evil/stream", False),
        ("rtsp://cam.local", "rtsp://cam.local@evil/stream", False),
        ("http://cam/live", "http://cam/live/../admin", False),
        ("http://cam/live", "http://cam/live/%2e%2e/admin", False),
        ("videos", "file:///etc/passwd", False),
        ("videos", "videos://x", False),
    ],
)
def test_a_folder_an_address_or_a_camera_is_permitted_with_what_lies_in_it(entry: str, source: str, may: bool) -> None:
    assert is_permitted(source, ["other", entry]) == may


def test_any_source_is_permitted_where_none_is_named() -> None:
    assert is_permitted("/etc/passwd", [])


def test_a_link_leads_out_of_no_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path)
    assert not is_permitted(str(tmp_path / "in/link/secret.mp4"), [str(tmp_path / "in")])


class Looks:
    """What is looked at."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.asked.append(request)
        return {}


async def test_a_runner_looks_at_its_own_video_and_at_what_its_site_permits() -> None:
    looks = Looks()
    guarded = permitted(RunnerOptions("r", "own.mp4", ("/srv/videos",)), looks)
    for source in ("own.mp4", "/srv/videos/a.mp4"):
        await guarded({"source": source})
    with pytest.raises(InvalidEvent, match="may not look at /etc/passwd"):
        await guarded({"source": "/etc/passwd"})
    await permitted(RunnerOptions("r", "own.mp4"), looks)({"source": "/etc/passwd"})
    assert [one["source"] for one in looks.asked] == ["own.mp4", "/srv/videos/a.mp4", "/etc/passwd"]


async def test_only_permitted_sources_are_looked_at() -> None:
    looks = Looks()
    guarded = only(["0"], looks)
    requests = [{"source": "0", "settings": {"model": ""}}, {"release": True}]
    for request in requests:
        await guarded(request)
    with pytest.raises(InvalidEvent, match=r"failed_to_read_frame: this runner may not look at /etc/passwd"):
        await guarded({"source": "/etc/passwd"})
    with pytest.raises(InvalidEvent, match=r"may not look at rtsp://camera/1 \(see"):
        await guarded({"source": "rtsp://user:secret@camera/1"})
    with pytest.raises(InvalidEvent, match="inference_error: this runner may not load /etc/passwd"):
        await guarded({"source": "0", "settings": {"model": "/etc/passwd"}})
    assert looks.asked == requests
