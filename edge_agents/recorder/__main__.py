"""`python -m edge_agents.recorder`: the same as `recorder-agent`."""

from edge_agents.recorder.cli import main

raise SystemExit(main())
