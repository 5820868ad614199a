"""The process `cameras` on a real log: what is configured is looked at, by one process at a time."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from producers.pictures import Pictures
from streams.cameras.watch import Pace
from streams.cameras.worker import CamerasOptions, Keeping, work
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.video import film
from tests.drivers.waiting import until

TOPICS = ("security.threats", "security.deviance", "security.faces")
CAMERA = {
    "name": "Door", "location": "5", "device_id": None, "deviance": True, "deviance_on": 0.5, "deviance_off": 0.25,
    "faces": False, "schedule": "[]", "by": None,
}  # fmt: skip


def jerks(seconds: int) -> Iterator[np.ndarray]:
    """Something that jumps about, 25 frames a second."""
    ground = cv2.resize(np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8), (320, 240))
    for number in range(25 * seconds):
        yield np.roll(ground, (number // 2 % 3) * 17, axis=1)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(film(tmp_path_factory.mktemp("films") / "jerks.mp4", jerks(30)))


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str) -> Iterator[DecidingSite]:
    with closing(DecidingSite(kafka_bootstrap, *TOPICS)) as made, made.deciding("security"):
        yield made


@asynccontextmanager
async def cameras(site: DecidingSite, folder: Path, group: str, name: str) -> AsyncIterator[None]:
    follows = (site.topics["security.threats"], group)
    options = CamerasOptions(name, pace=Pace(window_s=1.0), follows=follows, topic_of=site.topic_of)
    stop = asyncio.Event()
    working = asyncio.create_task(work(site.bootstrap, options, Keeping(Pictures(folder), RING), stop))
    try:
        yield
    finally:
        stop.set()
        await working


def windows(site: DecidingSite, camera_id: str) -> list[dict]:
    return [body for _, body in site.events("security.deviance") if body["camera_id"] == camera_id]


async def seen(site: DecidingSite, camera_id: str, count: int) -> list[dict]:
    await until(lambda: asyncio.to_thread(lambda: len(windows(site, camera_id)) >= count), 40, 0.2)
    return windows(site, camera_id)


async def test_configured_cameras_are_looked_at_and_removed_ones_no_more(
    site: DecidingSite, path: str, tmp_path: Path
) -> None:
    site.wait_settled(
        site.send("ConfigureCamera", "security", CAMERA | {"camera_id": "a", "source": path}),
        topic="security.threats",
    )
    async with cameras(site, tmp_path, uuid.uuid4().hex, "one"):
        found = await seen(site, "a", 2)
        assert all(one["score"] > 0.5 and one["model"] == "violent-flows-1" for one in found)
        assert all(5e5 < one["window_end_us"] - one["window_start_us"] < 1e6 for one in found)
        assert found[0]["window_end_us"] < found[1]["window_start_us"]
        pictures = [await Pictures(tmp_path).find(one["frame"]) for one in found]
        assert all(picture and picture.startswith(b"\xff\xd8\xff") for picture in pictures)
        site.send("ConfigureCamera", "security", CAMERA | {"camera_id": "b", "source": path, "deviance_on": 0.75})
        assert (await seen(site, "b", 1))[0]["deviance_on"] == 0.75
        site.wait_settled(
            site.send("RemoveCamera", "security", {"camera_id": "a", "by": None}), topic="security.threats"
        )
        await until(lambda: all(task.get_name() != "a" for task in asyncio.all_tasks()))
        count = len(windows(site, "a"))
        await seen(site, "b", 3)
        assert len(windows(site, "a")) == count


async def test_one_process_looks_and_another_goes_on_where_it_ends(
    site: DecidingSite, path: str, tmp_path: Path
) -> None:
    group = uuid.uuid4().hex
    site.send("ConfigureCamera", "security", CAMERA | {"camera_id": "c", "source": path})
    async with AsyncExitStack() as second:
        async with cameras(site, tmp_path, group, "first"):
            await seen(site, "c", 1)
            await second.enter_async_context(cameras(site, tmp_path, group, "second"))
            await seen(site, "c", 2)
        count = len(windows(site, "c"))
        found = await seen(site, "c", count + 2)
    ends = sorted((one["window_start_us"], one["window_end_us"]) for one in found)
    assert all(one[1] <= other[0] for one, other in pairwise(ends)), "two looked at once"
    assert max(Counter(ends).values()) == 1
