"""A runner or an orchestrator of tests, on a site's topics. `python FILE JSON serve runner|orchestrator`."""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path

from producers.publisher import Publisher
from schemas.catalogue import latest
from streams.orchestrator import worker as orchestrator
from streams.runner import worker as runner
from streams.runner.loop import Rest
from streams.runner.shift import Pace
from tests.drivers.deciding import DECIDERS, at_site


class Cut:
    """Nothing gets through to Kafka while the file is there; what was held up arrives late, when it is gone."""

    def __init__(self, file: Path) -> None:
        self._file, self._held = file, list[tuple]()
        self._send = Publisher._produce
        Publisher._produce = lambda *arguments: self._produce(*arguments)
        threading.Thread(target=self._watch, daemon=True).start()

    def _produce(self, *arguments) -> None:
        if self._file.exists():
            self._held.append(arguments)
        else:
            self._send(*arguments)

    def _watch(self) -> None:
        while True:
            threading.Event().wait(0.02)
            while self._held and not self._file.exists():
                self._send(*self._held.pop(0))


def main(plan: dict, kind: str) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    bootstrap, prefix = plan["bootstrap"], plan["prefix"]
    if kind == "orchestrator":
        options = orchestrator.OrchestratorOptions(tick_s=0.05, retries=prefix + "retry_topic")
        return orchestrator.run(bootstrap, at_site(DECIDERS["scenarios"], prefix), options)
    if "cut" in plan:
        Cut(Path(plan["cut"]))
    options = runner.RunnerOptions(
        plan["name"],
        plan.get("video"),
        lease_s=plan.get("lease_s", 2.0),
        pace=Pace(absent_s=plan.get("absent_s", 0.2), retry_s=0.05),
        rest=Rest(poll_s=0.2),
        look={"pause_s": plan.get("pause_s", 0.0)},
        target=plan.get("target", "tests.drivers.cheap_vision:open_worker"),
        news=(prefix + "scenarios", prefix + "runners_group"),
        topic_of=lambda event: prefix + latest(event).topic,
    )
    return runner.run(bootstrap, options)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[3]))
