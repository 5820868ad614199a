"""Heavy work in child processes: what runs there, and the two verdicts it may give. Imports nothing heavy itself.

A target is `open_worker(options) -> callable`; the callable takes a request and gives a result, both mappings that
msgpack can say. Loading belongs into `open_worker`; lines on stderr tell how it gets on.
"""

from __future__ import annotations


class BadInput(Exception):
    """What was asked can never be done with this input: it becomes a dead letter."""


class NotNow(Exception):
    """Something outside does not answer; the same request may work later."""
