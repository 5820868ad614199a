"""Event -> row: read models in versioned PostgreSQL schemas, their store, runner and queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg


def checksum(connection: psycopg.Connection, schema: str, model: str) -> dict[str, dict[str, int]]:
    """Rows and order-free checksum of every table of one version: `{table: {"rows": n, "checksum": c}}`.

    Equal for two versions that have read the log up to the same offsets; no floats and no serial numbers go in.
    """
    from projections.checksums import checksum as compute

    return compute(connection, schema, model)
