"""What can stop the sensor, in words for its owner. Every message says what to do."""

from __future__ import annotations


class SensorError(Exception):
    """The sensor cannot go on; the message is shown as it is."""


class ModelMissing(SensorError):
    """There is no expression model and nothing to build one from."""


class SourceUnavailable(SensorError):
    """The camera, file or folder cannot be opened or read."""


class AlreadyRunning(SensorError):
    """Another sensor works in the same home."""
