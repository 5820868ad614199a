"""The processors of security in a process for tests, on topics of a site. `python FILE JSON`."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace

from streams import topology
from streams.gallery import FollowedGallery, Gallery
from streams.runtime.faust_member import MemberSettings
from streams.runtime.worker import WorkerSettings, run
from tests.drivers.deciding import RING


def main() -> int:
    """Run until told to stop. The plan: `bootstrap`, `prefix`."""
    plan = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    bootstrap, prefix = plan["bootstrap"], plan["prefix"]
    table = topology.of(
        topology.processors(topology.Options(ring=RING)), "security.matches", "deviance.signals", "threats"
    )
    here = [
        replace(one, name=prefix + one.name, topic_in=prefix + one.topic_in, topic_out=prefix + one.topic_out)
        for one in table
    ]
    gallery = FollowedGallery(bootstrap, Gallery(RING, 0.5), topic=f"{prefix}faces.gallery")
    settings = WorkerSettings(member=MemberSettings(session_s=6.0), commit_every_s=0.1, idle_every_s=0.5)
    return run(
        bootstrap, instance=prefix, processors=here, capabilities={"gallery": gallery}, settings=settings,
        on_ready=lambda: print("ready", flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
