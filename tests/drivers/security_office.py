"""Security in memory: the real decider, processor and projector, and queries over what they made."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from producers.commands import CommandAnswer
from projections.kept_rows import Kept
from projections.projectors import security as projector
from projections.read_model import Event, Target
from schemas import serde
from schemas.record import Record
from streams.deciders import security
from streams.decisions import Command, Refused
from streams.processors import deviance_signals
from streams.steps import Event as Seen
from tests.drivers.deciding import AT_US, RING

Row = dict[str, Any]
TABLES = (projector.CAMERAS, projector.MUTES, projector.WATCH_LIST, projector.ALERTS)


class Office:
    """A writer, a database and a hub. `failure` is raised by the next writes, `outage` by reads."""

    def __init__(self) -> None:
        self.state, self.now_us, self.offset = security.State(), AT_US, -1
        self.signals = deviance_signals.State()
        self.kept = {table.name: Kept(table) for table in TABLES}
        self.history: list[Row] = []
        self.names: dict[str, str] = {}
        self.tickets: list[Row] = []
        self.appended: list[tuple[str, str, Row, str | None]] = []
        self.sent: list[tuple[str, Row]] = []
        self.failure: Exception | None = None
        self.outage: Exception | None = None
        self._taps: list[Callable[[], None]] = []
        self._projector = projector.Security(Target("s", keyring=RING))
        self._reads: dict[str, Callable[..., Any]] = {
            "cameras": self._cameras, "camera": self._camera, "watch_list": lambda: self._rows("watch_list"),
            "watched": lambda user_id: self.kept["watch_list"].get(user_id), "alerts": self._alerts,
            "alert": self._alert, "news": self._news, "newest": lambda: max(self._offsets(), default=-1),
            "names": lambda ids: {one: self.names[one] for one in ids if one in self.names},
            "tickets_of": lambda user_id: [one for one in self.tickets if one["user_id"] == user_id],
        }  # fmt: skip

    def tap(self, model: str, heard: Callable[[], None]) -> None:
        """As `api.live.Hub.tap`."""
        assert model == "security"
        self._taps.append(heard)

    async def command(
        self, command: str, key: str, record: Mapping[str, Any], *, command_id: str | None = None,
        fingerprint: str = "", await_model: str | None = None,
    ) -> CommandAnswer:  # fmt: skip
        """As `producers.commands.Writer.command`."""
        del command_id, fingerprint
        assert (key, await_model) == ("security", "security")
        if self.failure:
            raise self.failure
        return self.decide(command, record)

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None:
        """As `producers.commands.Writer.tell`."""
        del key
        if self.failure:
            raise self.failure
        self.decide(command, record)

    async def append(self, event: str, key: str, record: Mapping[str, Any], *, event_id: str | None = None) -> bool:
        """As `producers.commands.Writer.append`; a score goes on to the processor."""
        if self.failure:
            raise self.failure
        known = serde.decode(serde.encode(event, record))[1]
        self.appended.append((event, key, known, event_id))
        if event == "DevianceScored":
            self.signals, emitted = deviance_signals.step(self.signals, Seen(event, known, self.now_us // 1000))
            for one in emitted:
                self.decide(one.name, one.record)
        return True

    def decide(self, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        """Decide a command, and let everybody see what it did."""
        self.now_us += 1_000_000
        known = serde.decode(serde.encode(command, record))[1]
        self.sent.append((command, dict(known)))
        verdict = security.decide(self.state, Command(command, known, self.now_us, str(uuid.uuid4())))
        if isinstance(verdict, Refused):
            return CommandAnswer(False, verdict.code, verdict.detail)
        for fact in verdict.events:
            self.state = security.evolve(self.state, fact.name, fact.record)
            self._take_in(fact.name, serde.decode(serde.encode(fact.name, fact.record))[1])
        for heard in self._taps:
            heard()
        result = None if verdict.result is None else json.loads(json.dumps(verdict.result))
        return CommandAnswer(True, None, None, result, True)

    async def read(self, read: Any, **_: Any) -> Any:
        """As `projections.queries.database.Database.read`."""
        await asyncio.sleep(0)
        if self.outage:
            raise self.outage
        function, asked = (read.func, read.keywords) if isinstance(read, partial) else (read, {})
        return self._reads[function.__name__](**asked)

    def _take_in(self, name: str, body: Row) -> None:
        self.offset += 1
        event = Event(Record("security.threats", 0, self.offset, self.now_us // 1000, b"security", None), name, body)
        prepared = self._projector.prepare([event])
        for change in prepared.changes:
            for kept in self.kept.values():
                if projector.concerns(change[0], kept.table):
                    projector.apply(kept, change)
        self.history += prepared.sightings

    def _rows(self, table: str) -> list[Row]:
        return [dict(row) for row in self.kept[table].rows.values()]

    def _offsets(self) -> list[int]:
        return [row["kafka_offset"] for row in self._rows("alerts")]

    def _cameras(self) -> list[Row]:
        mutes = self._rows("camera_mutes")
        of = [
            row | {"mutes": [one for one in mutes if one["camera_id"] == row["camera_id"]]}
            for row in self._rows("cameras")
        ]
        return sorted(of, key=lambda row: row["name"])

    def _camera(self, camera_id: str) -> Row | None:
        return next((row for row in self._cameras() if row["camera_id"] == camera_id), None)

    def _alerts(self, wanted: Row, before: int | None, limit: int) -> list[Row]:
        known = {name: value for name, value in wanted.items() if value is not None}
        fits = [row for row in self._rows("alerts") if all(row[name] == value for name, value in known.items())]
        below = [row for row in fits if before is None or row["raised_offset"] < before]
        return [self._shown(row) for row in sorted(below, key=lambda row: -row["raised_offset"])[:limit]]

    def _alert(self, alert_id: str) -> Row | None:
        row = self.kept["alerts"].get(alert_id)
        return row and self._shown(row) | {"events": [one for one in self.history if one["alert_id"] == alert_id]}

    def _news(self, after: int, limit: int) -> list[Row]:
        newer = [row for row in self._rows("alerts") if row["kafka_offset"] > after]
        return [self._shown(row) for row in sorted(newer, key=lambda row: row["kafka_offset"])[:limit]]

    def _shown(self, row: Row) -> Row:
        camera = self._camera(row["camera_id"]) or {"name": None, "location": None}
        return row | {"camera": camera["name"], "location": camera["location"]}
