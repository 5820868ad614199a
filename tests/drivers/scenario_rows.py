"""Scenarios in memory: the real decider, and a read model that knows at once what it decided. For HTTP tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from producers.commands import CommandAnswer
from projections.kept_rows import Kept
from projections.projectors.scenarios import SCENARIOS, apply
from projections.queries import scenarios
from projections.read_model import Event
from schemas import serde
from schemas.record import Record
from streams.decisions import Refused
from tests.drivers.scenarios import Office


class Scenarios:
    """Both the writer and the database of the routes; `away` is what either raises instead."""

    def __init__(self) -> None:
        self.office, self.kept, self.asked = Office(), Kept(SCENARIOS), list[tuple[str, dict[str, Any]]]()
        self.away: Exception | None = None

    async def command(self, command: str, key: str, record: Mapping[str, Any], **_: Any) -> CommandAnswer:
        if self.away:
            raise self.away
        assert key == "scenarios"
        serde.encode(command, record)
        self.asked.append((command, dict(record)))
        before = len(self.office.facts)
        verdict = self.office.ask(command, **record)
        for offset, fact in enumerate(self.office.facts[before:], before):
            where = Record("scenarios", 0, offset, 0, None, None)
            if fact.topic is None:
                apply(self.kept, Event(where, fact.name, dict(fact.record)))
        if isinstance(verdict, Refused):
            return CommandAnswer(False, verdict.code, verdict.detail)
        return CommandAnswer(True, None, None, verdict.result, True)

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None:
        await self.command(command, key, record)

    async def read(self, read: Any) -> Any:
        if self.away:
            raise self.away
        function, asked = (read.func, read.keywords) if isinstance(read, partial) else (read, {})
        if function is scenarios.scenario:
            return self.kept.get(asked["scenario_id"])
        if function is scenarios.scenarios:
            wanted = [row for row in self.kept.rows.values() if asked["status"] in (None, row["status"])]
            return [row for row in wanted if row["id"] > asked["after_id"]][: asked["limit"]]
        return []
