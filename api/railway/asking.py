"""A command of the railway on behalf of a request: its ids, its answer, its refusal in the seed's shape."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from fastapi import Request

from api import commanding
from api.railway.parts import Railway
from producers.commands import CommandAnswer

PASSENGERS: Final = "railway_passengers"
PLACES: Final = "railway_places"
ACCESS: Final = "railway_access"
STORES: Final = "railway_stores"
"""Read models whose sight of a write is waited for."""

REFUSALS: Final[Mapping[str, int]] = {
    "user_not_found": 404, "user_exists": 409, "username_taken": 409, "email_taken": 409, "keycloak_id_taken": 409,
    "ticket_not_found": 404, "ticket_exists": 409,
    "engineer_not_found": 404, "login_taken": 409, "card_taken": 409, "insufficient_privileges": 403,
    "robot_not_found": 404, "challenge_refused": 401, "session_not_found": 401,
    "store_not_found": 404, "store_exists": 409, "binding_exists": 409,
    "item_not_found": 404, "items_not_found": 404, "not_enough": 400, "task_not_found": 404,
    "item_exists": 409, "purchase_exists": 409, "place_exists": 409,
}  # fmt: skip


async def decided(
    request: Request, railway: Railway, command: str, key: str, record: Mapping[str, Any], model: str
) -> CommandAnswer:
    """Send a command, wait until it is decided and `model` shows it, and give its answer, accepted.

    The same request under the same `Idempotency-Key` gets the first answer; another one under it 409.

    Raises:
        HTTPException: the refusal with its status, or 503 when nothing was decided (yet).
    """
    asked = commanding.Asked(command, key, record, model, REFUSALS)
    return await commanding.decided(request, railway.writer, asked, _meant(record))


def new_id(request: Request, by: str | None, what: str) -> str:
    """An id, v4-shaped, for what the request makes; with an `Idempotency-Key` the same one at every repeat."""
    given = commanding.id_of(request, by)
    if given is None:
        return str(uuid.uuid4())
    return str(uuid.UUID(bytes=sha256(f"{given}\n{what}".encode()).digest()[:16], version=4))


def mark_of_secret(request: Request, railway: Railway, secret: str | None) -> str | None:
    """What stands for a secret in what the caller asked: another secret under the same `Idempotency-Key` differs.

    It is made with that key, so who reads the log cannot try out passwords with it; None where there is no key.
    """
    key, ring = request.headers.get("idempotency-key", "").strip(), railway.keyring
    if not key or secret is None:
        return None
    return hmac.digest(ring.keys[ring.current], f"secret\n{key}\n{secret}".encode(), "sha256").hex()


def _meant(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the caller asked, without envelopes: sealed again, they differ."""
    return {name: value for name, value in record.items() if not isinstance(value, Mapping)}
