"""Speech recognition on another machine, which knows nothing but an address and a token."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.drivers import sales_counter, sales_once
from tests.drivers.sales_counter import Shop, Voice
from tests.drivers.stack import ROOT, Stack, fresh_stack
from tests.drivers.waiting import eventually

TOKEN = "internal-token-of-a-test"
INJECTION = str(ROOT / "tests" / "drivers" / "faults")
LEASE_S = 4
LONG = (
    "Good morning. One large coffee with milk, please. Would you like to try our chocolate cake with your coffee? "
    "No, thank you. Just the coffee. That will be three dollars. Thank you very much, and goodbye."
)

pytestmark = pytest.mark.timeout(280)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    env = {"ASR_MODE": "remote", "INTERNAL_TOKEN": TOKEN, "SENSORIUM_LEASE_S": str(LEASE_S)}
    with fresh_stack(env | {"PYTHONPATH": f"{INJECTION}{os.pathsep}{ROOT}"}) as running:
        yield running


@contextmanager
def worker(stack: Stack, folder: Path, name: str) -> Iterator[psutil.Popen]:
    """A worker with two variables in its environment; killed at the end."""
    given = {"INGEST_INTERNAL_BASE_URL": stack.base_url, "INTERNAL_TOKEN": TOKEN}
    command = [sys.executable, "-m", "streams.asr_worker"]
    with (folder / f"{name}.log").open("w") as log:
        process = psutil.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.is_running():
            for one in [*process.children(recursive=True), process]:
                one.kill()
            process.wait(20)


def state(stack: Stack) -> dict[str, object]:
    """What the door of the workers says."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.get(f"{stack.base_url}/api/v1/internal/asr", headers=headers, timeout=30).json()


def leased(stack: Stack) -> bool:
    return state(stack)["leased"] == 1


def test_a_dialogue_is_heard_elsewhere_and_survives_its_worker(stack: Stack, tmp_path: Path) -> None:
    """The first worker dies of SIGKILL in the middle of it, the second one takes over; it is heard once."""
    shop, counter = Shop(stack), sales_counter.registered(stack)
    shop.sends(counter, 0, Voice().says(LONG, 0.5))
    with worker(stack, tmp_path, "first") as first:
        eventually(lambda: leased(stack), timeout=90, interval=0.05)
        first.suspend()
        assert leased(stack), "the first worker was too quick for this test"
        first.kill()
        first.wait(20)
    with worker(stack, tmp_path, "second") as second:
        (row,) = sales_once.settle(stack, shop, dialogues=1)
        second.terminate()
        assert second.wait(40) == 0, (tmp_path / "second.log").read_text()
    sales_once.check(stack, shop)
    assert (row["asr_status"], row["asr_model"]) == ("DONE", "base")
    assert "chocolate cake" in row["text"].lower()
    assert state(stack)["waiting"] == 0


def test_the_door_is_closed_to_others(stack: Stack) -> None:
    where = f"{stack.base_url}/api/v1/internal/asr/leases"
    body = {"worker": "w", "models": {"FAST": "base"}, "wait_s": 0}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {stack.admin_token}"}):
        assert httpx.post(where, json=body, headers=headers, timeout=30).status_code == 401
