"""`python -m recorder_agent -c config.yaml --log-level DEBUG`: the same as `recorder-agent`."""

from edge_agents.recorder.cli import main

raise SystemExit(main())
