"""The recorder under the name its units and scripts start it by: `python -m recorder_agent`."""
