"""People: whose face it is, who it is, whether this card may open the robot."""

from __future__ import annotations

from http import HTTPStatus

from edge_agents.robot.errors import Refused
from edge_agents.robot.servers import Servers, part
from edge_agents.robot.shapes import Admin, User, admin, record, user


async def identify(servers: Servers, image: str) -> User | None:
    """Who is in the picture (base64 JPEG); None for nobody known, and for nobody to be seen."""
    try:
        return user(record(await servers.base("POST", "/robot/identification", {"image": image})))
    except Refused as refused:
        if refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
            return None
        raise


async def by_id(servers: Servers, user_id: str) -> User:
    """A passenger."""
    return user(record(await servers.base("GET", f"/robot/user/{part(user_id)}")))


async def admin_access(servers: Servers, card: str) -> Admin | None:
    """The engineer of a card, as the board read it (`0xAB 0x3 0x4 0x5F`); None: access denied."""
    try:
        return admin(record(await servers.base("POST", "/robot/engineer/admin_access", {"key": card})))
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            return None
        raise
