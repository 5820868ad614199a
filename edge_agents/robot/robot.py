"""The robot at work: events in, the machine's answer shown and done. Lives in the loop's thread only."""

from __future__ import annotations

import logging
from typing import Protocol

from edge_agents.robot.effects import Effect
from edge_agents.robot.events import Event
from edge_agents.robot.fsm import step
from edge_agents.robot.states import Context, World

log = logging.getLogger(__name__)


class Face(Protocol):
    """What shows the robot's state: a screen, or the log."""

    def show(self, world: World) -> None:
        """Show what the robot does now."""
        ...


class Does(Protocol):
    """What is needed of hands.Hands."""

    def do(self, effect: Effect) -> None: ...  # noqa: D102


class LogFace:
    """A robot without a screen says what it does."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, world: World) -> None:
        """One line for each state that is entered; no names of passengers."""
        name = type(world.state).__name__
        if name != self._last:
            self._last = name
            log.info("The robot is in %s.", name)


class Robot:
    """State and context, and who is told of them."""

    def __init__(self, run: str, face: Face | None = None) -> None:
        self.world = World(context=Context(run=run))
        self.face: Face = face or LogFace()
        self.hands: Does | None = None

    def happen(self, event: Event) -> None:
        """Take an event."""
        before = self.world
        self.world, wanted = step(before, event)
        if self.world is not before:
            self.face.show(self.world)
        for effect in wanted:
            if self.hands is not None:
                self.hands.do(effect)
