"""Tells the server of silence and of dropped recordings. One that does not know these is asked again later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agents.recorder.delivery import Connection, Later, Stored, Verdict
from edge_agents.recorder.letters import Letters
from edge_agents.recorder.reports import Drop, Drops, Silence, Silences

log = logging.getLogger(__name__)
DROPS, SILENCES = "/api/v1/recorders/drops", "/api/v1/silences"
_AGAIN_S = 3600.0
_TOGETHER_S = 300.0
# The server is there and says no to this: not a reason to hold up anything else.
_NOT_NOW = frozenset({400, 404, 405, 409, 413, 422, 501})


@dataclass(slots=True)
class Messenger:
    """`now_s` counts steadily. A silence that goes on is told every five minutes, unless it is `urgent`."""

    letters: Letters
    connection: Connection
    drops: Drops
    silences: Silences
    now_s: Callable[[], float]
    urgent: bool = False
    _of_before: int = 0
    _not_before_s: dict[str, float] = field(default_factory=dict[str, float])

    def heard_speech(self) -> None:
        """The silence that follows is told at once: it ends a dialogue."""
        self._not_before_s.pop(SILENCES, None)
        self._of_before = len(self.silences.rows())

    def tell_one(self) -> Verdict | None:
        """Tell the oldest of what is kept; None if there is nothing to tell now."""
        for path, row in ((DROPS, self.drops.first), (SILENCES, self.silences.first)):
            if not self.urgent and self.now_s() < self._not_before_s.get(path, float("-inf")):
                continue
            found = row()
            if found is not None:
                return self._tell(path, found)
        return None

    def _tell(self, path: str, row: Drop | Silence) -> Verdict | None:
        body = self.letters.drop(row) if isinstance(row, Drop) else self.letters.silence(row)
        verdict = self.connection.send_report(path, body)
        if isinstance(verdict, Stored):
            if isinstance(row, Drop):
                self.drops.told(row)
            else:
                self.silences.told(row)
                if self._of_before > 0:
                    self._of_before -= 1
                elif not self.silences.rows():
                    self._not_before_s[SILENCES] = self.now_s() + _TOGETHER_S
            log.info("report_ok", extra={"path": path})
        elif not isinstance(verdict, Later) or verdict.status in _NOT_NOW:
            self._not_before_s[path] = self.now_s() + _AGAIN_S
            log.warning("report_not_taken", extra={"path": path, "answer": str(verdict)[:300], "again_s": _AGAIN_S})
            return None
        return verdict
