"""Places: where a passenger's journey goes, and what there is."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Literal

from edge_agents.robot.errors import Refused
from edge_agents.robot.servers import Servers, part
from edge_agents.robot.shapes import Place, page, place, record, text

PAGES = 10
"""So many pages of 50 are read at most."""


async def destination(servers: Servers, user_id: str, train_number: int, start_date: datetime) -> str | None:
    """The id of a journey's destination; None when this passenger did not come on board of this train."""
    body = {"user_id": user_id, "train_number": train_number, "start_date": start_date.isoformat()}
    try:
        return text(record(await servers.base("POST", "/robot/determine_destination", body)), "id")
    except Refused as refused:
        if refused.status == HTTPStatus.BAD_REQUEST:
            return None
        raise


async def places(servers: Servers, kind: Literal["hotels", "attractions"], destination_id: str) -> tuple[Place, ...]:
    """All hotels or sights of a destination."""
    path = f"/robot/destination/{part(destination_id)}/{kind}"
    found: list[Place] = []
    for number in range(1, PAGES + 1):
        items, pages = page(await servers.base("GET", path, query={"page": number, "size": 50}), place)
        found += items
        if number >= pages:
            break
    return tuple(found)
