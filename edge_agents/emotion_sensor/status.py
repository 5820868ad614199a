"""How the outbox stands, in words. Reads the database of a sensor that may be running."""

from __future__ import annotations

from edge_agents.emotion_sensor.outbox import Backlog


def sentence(backlog: Backlog) -> str:
    """One line for the log: what waits, how long the outbox lasts, what was lost."""
    parts = [f"{_count(backlog.posts, 'post')} with {_count(backlog.points, 'point')} wait for the server"]
    if backlog.open_points:
        parts.append(f"{_count(backlog.open_points, 'point')} of visits that go on")
    parts.append(f"the outbox can hold {room(backlog)}")
    if backlog.refused:
        parts.append(f"{_count(backlog.refused, 'post')} refused by the server and set aside")
    if backlog.dropped_points:
        parts.append(f"{_count(backlog.dropped_points, 'point')} DROPPED for want of room")
    return "; ".join(parts) + "."


def room(backlog: Backlog) -> str:
    """How many more hours of points fit, at the current rate."""
    hours = backlog.hours_left
    if hours is None:
        return f"{max(0, backlog.limit - backlog.used) / 1e6:.0f} MB more (nobody is seen now)"
    return f"{hours:,.1f} more hours at {backlog.points_per_second:.1f} points/s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
