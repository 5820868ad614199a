"""Order-free checksums of a version's tables: sums of row hashes over integers and texts, no floats, no serials."""

from __future__ import annotations

from typing import Any, cast

import psycopg

from projections.registry import READ_MODELS


def checksum(connection: psycopg.Connection[Any], schema: str, model: str) -> dict[str, dict[str, int]]:
    """`{table: {"rows": n, "checksum": c}}`; one scan a table, in the caller's transaction (and snapshot)."""
    return {table: _of(connection, schema, table, spec) for table, spec in READ_MODELS[model].checksums.items()}


def _of(connection: psycopg.Connection[Any], schema: str, table: str, spec: str) -> dict[str, int]:
    columns, source = spec.format(s=schema).split(" | ")
    statement = f"SELECT count(*), COALESCE(sum(hash_record_extended(ROW({columns}), 0)), 0) FROM {source}"  # noqa: S608
    row = connection.execute(cast("Any", statement)).fetchone()
    assert row is not None, table  # noqa: S101 - an aggregate always answers
    return {"rows": int(row[0]), "checksum": int(row[1])}
