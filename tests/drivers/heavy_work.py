"""Targets for child processes in tests: each request says what to do to the child."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from streams.workers import BadInput, NotNow


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Load as the options say; `marks` is a folder in which each piece of work that begins leaves a file."""
    print("loading", file=sys.stderr)
    if options.get("load") == "hang":
        threading.Event().wait()
    if options.get("load") == "fail":
        raise FileNotFoundError("no such model")
    if options.get("load") == "crash":
        ctypes.string_at(0)
    marks = options.get("marks")

    def work(request: Mapping[str, Any]) -> Mapping[str, Any]:
        if marks:
            Path(marks, f"{request['task_id']}.{os.getpid()}.{os.urandom(4).hex()}").touch()
        if request["do"] == "gate":
            return _gate(gate_of(Path(str(marks))))
        return DEEDS[request["do"]](request)

    return work


def gate_of(marks: Path) -> Path:
    """The file that lets `gate` end once it is there."""
    return marks.with_suffix(".open")


def _gate(gate: Path) -> Mapping[str, Any]:
    pause = threading.Event()
    while not gate.exists():
        pause.wait(0.05)
    return {"pid": os.getpid()}


def _wait(request: Mapping[str, Any]) -> Mapping[str, Any]:
    threading.Event().wait(request["seconds"])
    return {"pid": os.getpid()}


def _crash(_: Mapping[str, Any]) -> Mapping[str, Any]:
    ctypes.string_at(0)
    return {}


def _spin(_: Mapping[str, Any]) -> Mapping[str, Any]:
    while True:
        pass


def _eat(_: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"bytes": len(bytearray(4 << 30))}


def _spawn(request: Mapping[str, Any]) -> Mapping[str, Any]:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(request["file"]).write_text(f"{os.getpid()} {grandchild.pid}", "utf-8")
    threading.Event().wait()
    return {}


def _talk(_: Mapping[str, Any]) -> Mapping[str, Any]:
    print("printed, not answered")
    sys.stderr.write("x" * 100_000 + "\n" + "line\n" * 500)
    return {"read": sys.stdin.read()}


def _bad(_: Mapping[str, Any]) -> Mapping[str, Any]:
    raise BadInput("not audio")


def _later(_: Mapping[str, Any]) -> Mapping[str, Any]:
    raise NotNow("the service is away")


def _bug(_: Mapping[str, Any]) -> Mapping[str, Any]:
    raise KeyError("a bug")


def _environment(_: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"names": dict(os.environ), "nice": os.nice(0), "pid": os.getpid()}


DEEDS: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "echo": lambda request: {"echo": request["say"], "pid": os.getpid()},
    "wait": _wait,
    "crash": _crash,
    "spin": _spin,
    "eat": _eat,
    "spawn": _spawn,
    "talk": _talk,
    "bad": _bad,
    "later": _later,
    "bug": _bug,
    "environment": _environment,
    "unsayable": lambda _: {"what": object()},
    "large": lambda request: {"data": bytes(request["bytes"])},
    "none": lambda _: None,  # type: ignore[return-value]
}
