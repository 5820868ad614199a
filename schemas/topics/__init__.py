"""The topics of the log, one .yaml each: who writes, who reads, key, partitions, retention, what is personal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

TIDYING: Mapping[str, str] = MappingProxyType(
    {"segment.ms": "3600000", "segment.bytes": "67108864", "min.cleanable.dirty.ratio": "0.1"}
)
"""Of compacted topics: the segment being written is never compacted, so it must not grow for days.

Nor is it deleted: what is kept for a day or less is written in segments of an hour."""
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic's contract. `events` are record names; sizes in bytes, retention in milliseconds (-1: for ever)."""

    name: str
    description: str
    events: tuple[str, ...]
    key: str
    partitions: int
    retention_ms: int
    cleanup: str
    max_message_bytes: int
    compatibility: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    personal: str

    @property
    def cleanup_policy(self) -> str:
        """Kafka's name for `cleanup`."""
        return self.cleanup

    def configs(self) -> dict[str, str]:
        """The broker-side settings this topic must have."""
        configs = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": "LogAppendTime",
        }
        if self.cleanup == "delete":
            configs |= {"retention.ms": str(self.retention_ms), "retention.bytes": "-1"}
            if 0 < self.retention_ms <= _DAY_MS:
                configs["segment.ms"] = TIDYING["segment.ms"]
        else:
            configs |= TIDYING
        return configs


def parse(name: str, text: str) -> Topic:
    """One topic file; an unknown or missing key is an error, so a misspelt one cannot pass.

    Raises:
        ValueError: naming the keys.
    """
    raw: dict[str, Any] = yaml.safe_load(text)
    expected = {field.name for field in fields(Topic)} - {"name"}
    if raw.keys() != expected:
        raise ValueError(f"Topic file {name}.yaml: wrong or missing keys {sorted(raw.keys() ^ expected)}.")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    return Topic(name=name, **values)


def _load() -> dict[str, Topic]:
    files = sorted(resources.files("schemas.topics").iterdir(), key=lambda file: file.name)
    names = [file for file in files if file.name.endswith(".yaml")]
    return {name: parse(name, file.read_text("utf-8")) for file in names for name in [file.name.removesuffix(".yaml")]}


TOPICS: Mapping[str, Topic] = MappingProxyType(_load())
"""Every topic by name."""
