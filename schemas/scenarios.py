"""The words for a scenario's status, which every room and the database share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LARGEST_ID: Final = 2**31 - 1
"""No scenario has a larger id: the log and the tables hold 32 bits."""


class ScenarioStatus(StrEnum):
    """What a scenario is doing; the values stand on the wire and in the database."""

    INIT_STARTUP = "init_startup"
    INIT_STARTUP_PROCESSING = "init_startup_processing"
    ACTIVE = "active"
    INIT_SHUTDOWN = "init_shutdown"
    IN_SHUTDOWN_PROCESSING = "in_shutdown_processing"
    INACTIVE = "inactive"
