"""The catalogue of Avro schemas: one .avsc per event version, ids pinned in ids.yaml. Reads package files once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml
from fastavro import parse_schema

from schemas.topics import TOPICS


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of one event: `text` is the canonical JSON a registry serves, `parsed` what fastavro wants."""

    name: str
    version: int
    id: int
    topic: str
    text: str
    parsed: Any

    @property
    def full_name(self) -> str:
        """The record's Avro name, which is also the CloudEvents type."""
        return f"sensorium.{self.name}"

    @property
    def subject(self) -> str:
        """Registry subject by Confluent's TopicRecordNameStrategy."""
        return f"{self.topic}-{self.full_name}"


def _load() -> dict[int, Schema]:
    folder = resources.files("schemas") / "avro"
    owner = {event: topic.name for topic in TOPICS.values() for event in topic.events}
    schemas: dict[int, Schema] = {}
    for label, schema_id in yaml.safe_load((folder / "ids.yaml").read_text("utf-8")).items():
        name, version = label.rsplit(".v", 1)
        raw = json.loads((folder / f"{label}.avsc").read_text("utf-8"))
        text = json.dumps(raw, separators=(",", ":"), ensure_ascii=False)
        schemas[schema_id] = Schema(name, int(version), schema_id, owner[name], text, parse_schema(raw))
    return schemas


SCHEMAS: Mapping[int, Schema] = MappingProxyType(_load())
"""Every schema by its pinned id."""


@cache
def latest(event: str) -> Schema:
    """The newest version of an event's schema; KeyError when there is none."""
    versions = [schema for schema in SCHEMAS.values() if schema.name == event]
    if not versions:
        raise KeyError(event)
    return max(versions, key=lambda schema: schema.version)
