"""The live line of `sensorium up`: how much the read models hold. One connection, opened when it is needed."""

from __future__ import annotations

from typing import LiteralString

import psycopg

QUERY: LiteralString = (
    "SELECT coalesce(sum(n_points), 0)::bigint, count(*), coalesce(sum(n_persons), 0)::bigint FROM sessions"
)


class Counters:
    """Asks the read models for their totals."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection | None = None

    def line(self) -> str:
        """Totals in words, or why there are none now."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=1)
            row = self._connection.execute(QUERY).fetchone()
        except psycopg.Error:
            self.close()
            return "the read models do not answer now"
        return words(*row) if row else ""

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def words(points: int, sessions: int, persons: int) -> str:
    """The live line's text."""
    return f"{points:,} points of {persons:,} persons in {sessions:,} sessions"
