"""`python -m run`: the same as `run.py`."""

from ops.run import main

main()
