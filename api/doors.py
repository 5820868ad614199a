"""Who comes in where: the doors of routes, the roles of people, and a rule that joins them. Pure types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ANALYST: Final = "analyst"
OPERATOR: Final = "operator"
SECURITY: Final = "security"
ADMIN: Final = "admin"
ROLES: Final = (ANALYST, OPERATOR, SECURITY, ADMIN)


class Door(StrEnum):
    """Who comes in without a role."""

    OPEN = "everybody"
    NETWORK = "this machine and trusted networks, elsewhere ADMIN_TOKEN"
    TOKEN = "ADMIN_TOKEN, from wherever"  # noqa: S105 - words for people
    USERS = "ADMIN_TOKEN and users of sales audio, from wherever"
    ADMINISTRATORS = "ADMIN_TOKEN and users who are administrators, from wherever"
    USER = "users of sales audio"
    DEVICE = "recorders by their tokens"
    INTERNAL = "asr workers by INTERNAL_TOKEN"
    ROBOT = "robots that signed in"
    NETWORK_AND_ROBOTS = "this machine, trusted networks and robots that signed in, elsewhere ADMIN_TOKEN"
    STORE = "stores that signed in"
    PASSENGER = "passengers by an access token of the provider"


@dataclass(frozen=True, slots=True)
class Rule:
    """A route and who may use it; `path` is a pattern as FastAPI writes it."""

    method: str
    path: str
    door: Door
    roles: frozenset[str]

    def lets_in(self, roles: frozenset[str]) -> bool:
        """Whether somebody with these roles may."""
        return bool(self.roles & roles)
