"""How a process listens in a consumer group that keeps no positions: what counts is who has which partition."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)


def member(bootstrap: str, client_id: str, group: str, **more: Any) -> dict[str, Any]:
    """Settings of its consumer: nothing is committed, committed transactions only; `more` with _ for a full stop."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 3_000,
        "reconnect.backoff.max.ms": 1000,
        "fetch.queue.backoff.ms": 20,
        "error_cb": lambda error: log.debug("Kafka: %s", error.str()),
        "log_level": 2,
    } | {name.replace("_", "."): value for name, value in more.items()}
