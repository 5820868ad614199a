"""Golden examples, one .json per event version in Avro's JSON encoding: the fixtures of every test."""

from __future__ import annotations

from importlib import resources
from io import StringIO
from typing import Any, cast

from fastavro import json_reader

from schemas.catalogue import latest


def load(event: str) -> dict[str, Any]:
    """The example of the newest version of an event, as `schemas.serde.encode` takes it."""
    schema = latest(event)
    text = (resources.files("schemas.examples") / f"{event}.v{schema.version}.json").read_text("utf-8")
    (record,) = json_reader(StringIO("".join(text.splitlines())), schema.parsed)
    return cast("dict[str, Any]", record)
