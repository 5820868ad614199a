"""What is decided about watching, under test: a log of decisions, one command after another, at times of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas import examples, serde
from schemas.envelope import seal
from streams import security_state
from streams.deciders import security
from streams.decisions import Accepted, Command, Fact, Refused
from tests.drivers.deciding import AT_US, RING

SECOND = 1_000_000
CAMERA = "wagon-3"
THIEF = "0f9d3c1e-0000-4000-8000-0000000000f1"


def watch_details(user_id: str, reason: str | None = "Stole tea", instruction: str | None = None) -> dict[str, Any]:
    """Sealed details of who is watched."""
    return seal(RING, f"watch/{user_id}", "WatchDetails", {"reason": reason, "instruction": instruction})


class Guard:
    """A decider with its state; `facts` is everything it ever said, `now_us` when the next command comes."""

    def __init__(self) -> None:
        self.state, self.facts, self.now_us = security.State(), list[Fact](), AT_US

    def ask(self, command: str, **record: Any) -> Accepted | Refused:
        """Decide a command (its example's fields unless said otherwise) and take its events in."""
        asked = examples.load(command) | {"by": None} | record
        known = serde.decode(serde.encode(command, asked))[1]
        verdict = security.decide(self.state, Command(command, known, self.now_us, "c"))
        for fact in verdict.events if isinstance(verdict, Accepted) else ():
            _, read_back = serde.decode(serde.encode(fact.name, fact.record))
            self.facts.append(Fact(fact.name, fact.key, read_back))
            self.state = security_state.evolve(self.state, fact.name, read_back)
        return verdict

    def told(self, command: str, **record: Any) -> list[str]:
        """The names of the events of a command that is accepted."""
        verdict = self.ask(command, **record)
        assert isinstance(verdict, Accepted), verdict
        return [fact.name for fact in verdict.events]

    def refusal(self, command: str, **record: Any) -> str:
        """Why a command is refused."""
        verdict = self.ask(command, **record)
        assert isinstance(verdict, Refused), verdict
        return verdict.code

    def watch(self, user_id: str = THIEF, level: str = "high") -> list[str]:
        """A person is put on the watch list."""
        return self.told("WatchPerson", user_id=user_id, level=level, details=watch_details(user_id))

    def camera(self, **changed: Any) -> list[str]:
        """A camera is configured."""
        told = {"camera_id": CAMERA, "deviance": True, "faces": True, "schedule": "[]"}
        return self.told("ConfigureCamera", **(told | {"deviance_on": 0.5, "deviance_off": 0.25} | changed))

    def seen(self, at_s: float, user_id: str = THIEF, alert_id: str = "", camera_id: str = CAMERA) -> list[str]:
        """A person was recognised so many seconds after the beginning."""
        return self.told("RaiseAlert", **sighting(at_s, user_id, alert_id, camera_id))

    def signal(self, start_s: float, end_s: float | None = None, score: float = 0.6, **changed: Any) -> list[str]:
        """A deviance signal as far as it is known."""
        return self.told("RaiseAlert", **signalled(start_s, end_s, score, **changed))

    def after(self, seconds: float) -> Guard:
        """Time passes in the log."""
        self.now_us += round(seconds * SECOND)
        return self


def sighting(at_s: float, user_id: str = THIEF, alert_id: str = "", camera_id: str = CAMERA) -> Mapping[str, Any]:
    """A RaiseAlert for a person."""
    start_us = AT_US + round(at_s * SECOND)
    made = {"alert_id": alert_id or f"t-{user_id}-{camera_id}-{start_us}", "kind": "threat", "camera_id": camera_id}
    return made | {"user_id": user_id, "start_us": start_us, "end_us": None, "score": 0.5}


def signalled(start_s: float, end_s: float | None = None, score: float = 0.6, **changed: Any) -> Mapping[str, Any]:
    """A RaiseAlert for a commotion."""
    start_us = AT_US + round(start_s * SECOND)
    made = {"alert_id": f"d-{start_us}", "kind": "deviance", "camera_id": CAMERA, "user_id": None}
    end_us = None if end_s is None else AT_US + round(end_s * SECOND)
    return made | {"start_us": start_us, "end_us": end_us, "score": score} | changed
