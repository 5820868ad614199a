"""The map a robot drives by: points with tags, directed ways between them, the shortest route. Pure.

A search keeps its marks to itself, so it can be asked again and again.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from edge_agents.robot.errors import RobotError


class Direction(IntEnum):
    """Where to turn at a point."""

    FORWARD = 1
    BACKWARD = 2
    LEFT = 3
    RIGHT = 4


Ways = Mapping[str, tuple[tuple[Direction, str], ...]]


@dataclass(frozen=True, slots=True)
class Track:
    """`tags`: point -> tag ("" for none), in order; `ways`: point -> (direction, next point)."""

    tags: Mapping[str, str]
    ways: Ways

    def tagged(self, tag: str) -> str | None:
        """The first point that has this tag."""
        return next((point for point, its in self.tags.items() if its == tag), None)

    def route(self, start: str, goal: str) -> tuple[Direction, ...] | None:
        """The fewest turns from a point to another; None when no way leads there, or a point is unknown."""
        if start not in self.tags or goal not in self.tags:
            return None
        routes: dict[str, tuple[Direction, ...]] = {start: ()}
        waiting = deque([start])
        while waiting:
            here = waiting.popleft()
            if here == goal:
                return routes[here]
            for direction, there in self.ways.get(here, ()):
                if there not in routes:
                    routes[there] = (*routes[here], direction)
                    waiting.append(there)
        return None


def track(tags: Mapping[str, str], ways: Iterable[tuple[str, Direction, str]]) -> Track:
    """A map of points and (from, direction, to). Raises RobotError for a way to or from no point."""
    leading: dict[str, list[tuple[Direction, str]]] = {}
    for start, direction, end in ways:
        if start not in tags or end not in tags:
            raise RobotError(f"the map has a way from {start!r} to {end!r}, and one of them is no point")
        leading.setdefault(start, []).append((direction, end))
    return Track(dict(tags), {point: tuple(out) for point, out in leading.items()})


def load(path: Path) -> Track:
    """A map from a file: {"points": {"name": "tag"}, "connections": [["from", "LEFT", "to"], ...]}."""
    try:
        told = json.loads(path.read_text("utf-8"))
        tags = {str(point): str(tag or "") for point, tag in told["points"].items()}
        ways = [(str(start), Direction[str(turn).upper()], str(end)) for start, turn, end in told["connections"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RobotError(f"the map {path} cannot be read ({error!r})") from error
    return track(tags, ways)


def _wagon() -> Track:
    turn = Direction
    tags = {"welcome": "welcome", "welcome_out": "", "welcome_in": "", "stockroom": "stockroom"}
    tags |= dict.fromkeys(("work_1", "work_2", "work_3"), "work")
    ways = [
        ("welcome", turn.LEFT, "welcome_out"), ("welcome_out", turn.RIGHT, "welcome"),
        ("welcome_out", turn.FORWARD, "welcome_in"), ("welcome_in", turn.BACKWARD, "welcome_out"),
        ("welcome_in", turn.FORWARD, "stockroom"), ("stockroom", turn.BACKWARD, "welcome_in"),
        ("welcome_in", turn.RIGHT, "work_1"), ("work_1", turn.LEFT, "welcome_in"),
        ("work_1", turn.RIGHT, "work_2"), ("work_2", turn.LEFT, "work_1"),
        ("work_2", turn.RIGHT, "work_3"), ("work_3", turn.LEFT, "work_2"),
    ]  # fmt: skip
    return track(tags, ways)


WAGON = _wagon()
"""Wagon 0: the door, the stockroom, three places of work."""
