"""`python -m run`: the same as `run.py`."""

from . import main

main()
