"""`python -m edge_agents.emotion_sensor`: the same as `sensorium agent emotion-sensor`."""

from edge_agents.emotion_sensor.cli import main

raise SystemExit(main())
