"""What can stop the recorder or a part of it, in words for its owner. Every message says what to do."""

from __future__ import annotations


class RecorderError(Exception):
    """The recorder cannot go on; the message is shown as it is."""


class ConfigError(RecorderError):
    """A setting cannot be used. The message names the setting and where it came from."""


class MicrophoneMissing(RecorderError):
    """No microphone to record from, or nothing to record with: tried again later."""


class CaptureLost(RecorderError):
    """The microphone was there and is not any more, or gives no sound."""


class DiskFull(RecorderError):
    """The spool's disk has no room and nothing of ours is left to delete."""
