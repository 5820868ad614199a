"""Video runners: take a scenario, look at its video in a child process, tell what was seen. They speak by commands."""
