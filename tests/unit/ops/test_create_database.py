"""The database is made once, and asking whether it is ready leaves no error in the server's log."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import psycopg
import pytest

from ops.embedded.postgres import create_database


class Server:
    """Stands for a connection: knows the names of its databases and what it was told to create."""

    def __init__(self, *names: str) -> None:
        self.names, self.created = set(names), 0
        self._found: tuple[int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        pass

    def execute(self, statement: Any, parameters: tuple[str, ...] = ()) -> Server:
        if isinstance(statement, str) and statement.startswith("SELECT"):
            self._found = (1,) if parameters[0] in self.names else None
        else:
            self.created += 1
            self.names.add("sensorium")
        return self

    def fetchone(self) -> tuple[int] | None:
        return self._found


@pytest.mark.parametrize(("there", "created"), [((), 1), (("sensorium",), 0)])
def test_only_a_missing_database_is_created(
    there: tuple[str, ...], created: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server("postgres", *there)
    monkeypatch.setattr(psycopg, "connect", lambda *_args, **_options: server)
    create_database("postgresql:///postgres", "sensorium")
    create_database("postgresql:///postgres", "sensorium")
    assert server.created == created
