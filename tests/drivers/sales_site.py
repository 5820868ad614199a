"""Given these events of sales audio: real tables, filled by the real projector without Kafka, and an API over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection

from api.app import Api, Sales, wire
from api.sign_in import SignInOptions
from producers.commands import CommandAnswer
from projections.projectors import devices, sales_audio, sales_dialogues, users
from projections.read_model import Event, Target
from projections.store import Transaction
from schemas import serde
from schemas.errors import TransientFailure
from schemas.record import Record
from tests.drivers import read_models, sales

MODELS = (sales_audio, sales_dialogues, devices, users)
TOKEN = "let-me-in-please"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
SITE = "sales_dialogues_v1"


def create(connection: Connection[Any]) -> None:
    """The tables of sales audio beside the others, and views by their plain names."""
    read_models.create(connection, [])
    for module in MODELS:
        model = module.READ_MODEL
        schema = f"{model.name}_v1"
        read_models.create_version(connection, schema, model.ddl(schema))
        connection.execute("INSERT INTO sensorium.models VALUES (%s, %s, 1, 'live')", (schema, model.name))
        read_models.show(connection, schema, model.views)


class Log:
    """What would be the log: appended events are projected at once. A fake of `producers.commands.Writer`."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.appended: list[tuple[str, str, Mapping[str, Any]]] = []
        self.awaited: list[str | None] = []
        self.is_away = False
        self._offset = 0
        self._projector = sales_dialogues.SalesDialogues(Target(SITE, keyring=sales.RING))

    def project(self, sayings: Sequence[sales.Saying], connection: Connection[Any] | None = None) -> None:
        """Write sayings as the projector does, in log order."""
        events: list[Event] = []
        for event, body in sayings:
            record = Record(sales.topic_of(event), 0, self._offset, sales.NOON // 1000 + self._offset, None, None)
            events.append(Event(record, *serde.decode(serde.encode(event, body))))
            self._offset += 1
        if connection is not None:
            self._write(connection, events)
            return
        with psycopg.connect(self.database_url) as own:
            self._write(own, events)

    def _write(self, connection: Connection[Any], events: Sequence[Event]) -> None:
        with connection.transaction():
            connection.execute(f"SET LOCAL search_path TO {SITE}")
            self._projector.write(Transaction(connection), self._projector.prepare(events))

    async def append(
        self,
        event: str,
        key: str,
        record: Mapping[str, Any],
        *,
        event_id: str | None = None,
        await_model: str | None = None,
    ) -> bool:
        """As the Writer; True: it is in the tables."""
        del event_id
        if self.is_away:
            raise TransientFailure("Kafka does not answer.")
        self.appended.append((event, key, record))
        self.awaited.append(await_model)
        self.project([(event, dict(record))])
        return True

    async def command(self, *_: Any, **__: Any) -> CommandAnswer:
        """Nothing is decided here."""
        raise TransientFailure("There are no deciders in this test.")

    async def tell(self, *_: Any) -> None:
        """Nobody listens."""


def api(database_url: str, log: Log | None, now: Callable[[], datetime] | None = None) -> Api:
    """An API that lets TOKEN in; its clock stands at noon of the day of `sales.NOON` where none is given."""
    parts = Sales(
        SignInOptions(admin_token=TOKEN, jwt_secret="a secret of at least 32 characters"),
        sales.RING,
        writer=log,
        now=now or (lambda: datetime(2026, 1, 1, 12, tzinfo=UTC)),
    )
    return wire(database_url, sales=parts)
