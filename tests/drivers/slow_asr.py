"""A speech recogniser for tests, as a child's target: leaves a file per piece of work, waits where it is told to."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.drivers.speech import transcript

_pause = threading.Event()


def open_worker(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """`folder`: gets `<dialogue>.<pass>.<pid>.<n>` when work begins; work on a dialogue waits while `<dialogue>.hold`
    is there. `seconds`: what every work takes. Dialogues named doubtful* get a second pass.
    """
    folder = Path(options["folder"])

    def work(request: Mapping[str, Any]) -> Mapping[str, Any]:
        name, which = request["dialogue_id"], request["asr_pass"]
        (folder / f"{name}.{which}.{os.getpid()}.{os.urandom(3).hex()}").touch()
        _pause.wait(options.get("seconds", 0.0))
        while (folder / f"{name}.hold").exists():
            _pause.wait(0.01)
        doubtful = name.startswith("doubtful") and which == "FAST"
        return transcript(
            f"{name}, heard by {which}",
            avg_logprob=-2.0 if doubtful else -0.1,
            accurate_available=True,
            model=which.lower(),
        )

    return work
