"""`python run_worker.py [worker_id] [video_path]`, as seed 004 starts a runner from the checkout."""

from ops.run_worker import main

if __name__ == "__main__":
    raise SystemExit(main())
