"""Everything under the name seed 004 starts its API by: `python run.py`, `run.py`, or `python -m run`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `sensorium up` without sample devices; further arguments are its own."""
    from ops import cli

    sys.argv[1:] = ["up", "--no-demo", *sys.argv[1:]]
    cli.main()
