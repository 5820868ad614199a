"""The demo's scenario: asks for one over HTTP where nobody works on any, and says what its runner looks at."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from ops.demo_shop import ask
from ops.errors import OperatorError
from ops.settings import Settings

FOLDER: Final = "vision-demo"
"""In the home: the drawn video, and which scenario is the demo's."""
NAME: Final = "runner"
_SAMPLE: Final = Path("shared/media/video/vtest_480x360.avi")
_PATIENCE_S: Final = 20.0
LOOKS_PER_S: Final = 2.0
"""A second of the video: the demo shares two cores with everything else."""
_WAITING: Final = "init_startup"


def environment(settings: Settings, video: str | None) -> dict[str, str]:
    """What the demo's runner is told: somebody's own video, the sample beside the checkout, or the drawn one."""
    looks = {} if "per_second" in settings.vision.look else {"VISION_FPS": str(LOOKS_PER_S)}
    return {"VIDEO_PATH": video or _sample() or _drawn(settings), "RUNNER_ID": "demo"} | looks


def begin(settings: Settings) -> None:
    """Have a scenario at work: the demo's own is started again, or made. OperatorError when no API answered."""
    if any(_is_at_work(one) for one in _listed(settings)):
        return
    kept = settings.home / FOLDER / "scenario"
    if kept.is_file():
        path = f"/scenario/{kept.read_text('utf-8').strip()}/"
        status, _ = ask(settings, "POST", path, {"status": "init_startup"})
        if status == HTTPStatus.OK:
            return
    status, said = ask(settings, "POST", "/scenario/", {})
    if status != HTTPStatus.CREATED:
        raise OperatorError(f"The demo's scenario could not be made: {status} {said}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(f"{json.loads(said)['scenario_id']}\n", "utf-8")


def _is_at_work(scenario: dict[str, Any]) -> bool:
    """People may set the statuses of work without anybody working: who does is told by the runner."""
    return scenario["status"] == _WAITING or scenario["runner_id"] is not None


def _listed(settings: Settings) -> list[dict[str, Any]]:
    until = time.monotonic() + _PATIENCE_S
    status, said = ask(settings, "GET", "/v1/scenarios?limit=1000")
    while status in (0, HTTPStatus.SERVICE_UNAVAILABLE) and time.monotonic() < until:
        time.sleep(0.5)
        status, said = ask(settings, "GET", "/v1/scenarios?limit=1000")
    if status != HTTPStatus.OK:
        raise OperatorError(f"The demo's scenarios could not be read: {status} {said[:200]}")
    return json.loads(said)["items"]


def _sample() -> str | None:
    places = (Path(__file__).resolve().parents[1].parent, Path.cwd().parent)
    return next((str(place / _SAMPLE) for place in places if (place / _SAMPLE).is_file()), None)


def _drawn(settings: Settings) -> str:
    from ops import demo_video

    return str(demo_video.ensure(settings.home / FOLDER / "people.mp4"))
