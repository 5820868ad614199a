"""`python -m edge_agents.robot`."""

from edge_agents.robot.cli import main

raise SystemExit(main())
