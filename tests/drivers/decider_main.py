"""A deciders' process of tests, on a site's topics. `python FILE JSON`."""

from __future__ import annotations

import json
import logging
import sys

from streams.deciding import worker
from streams.deciding.commands import Membership
from tests.drivers.deciding import DECIDERS, at_site


def main(plan: dict) -> int:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    wanted = [at_site(DECIDERS[name], plan["prefix"], **plan["changed"]) for name in plan["names"]]
    return worker.run(
        plan["bootstrap"], deciders=wanted, settings=worker.WorkerSettings(Membership(plan["instance"], 6.0))
    )


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
