"""`python -m run_worker worker_1 video.mp4`: the same as `run_worker.py worker_1 video.mp4`."""

from . import main

raise SystemExit(main())
