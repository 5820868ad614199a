"""How the robot signs in: once with an engineer's help, then by its key; again whenever the server asks for it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from edge_agents.robot.connection import Call, Connection
from edge_agents.robot.errors import BadAnswer, NotRegistered, Refused, RobotError
from edge_agents.robot.keys import KeyFiles, answer_to, new_key, public_pem
from edge_agents.robot.shapes import record, text

log = logging.getLogger(__name__)
Credentials = tuple[str, str]
Ask = Callable[[str], Awaitable[Credentials | None]]
"""Asks an engineer for login and password; the argument says why. None: there is nobody to ask."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the robot says of itself, and the kind of key it makes."""

    id: str
    name: str
    key_kind: str = "rsa"


@dataclass(slots=True)
class SignIn:
    """Gives tokens, one at a time for all who ask. `given`: an engineer's credentials from the settings."""

    base_url: str
    files: KeyFiles
    model: Model
    connection: Connection
    ask: Ask
    given: Credentials | None = None
    _token: str | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def token(self, spent: str | None = None) -> str:
        """The token; a new one where there is none or the server refused it (`spent`).

        Raises ServerAway, and RobotError when the robot is not registered and nobody can be asked.
        """
        async with self._lock:
            if self._token is None or self._token == spent:
                self._token = None
                self._token = await self._sign_in()
            return self._token

    async def _sign_in(self) -> str:
        why = "the robot has not signed in here before"
        for _ in range(2):
            robot_id = self.files.robot_id()
            if robot_id is not None:
                try:
                    return await self._by_key(robot_id)
                except NotRegistered as error:
                    why = str(error)
                    log.warning("The sign-in by key failed: %s.", why)
            await self._register(why)
        raise RobotError(f"the server registers this robot but then refuses its key: {why}")

    async def _by_key(self, robot_id: str) -> str:
        """A token for a challenge that was met; twice, for a challenge may have grown old on its way."""
        key = self.files.key()
        refusal = ""
        for _ in range(2):
            told = await self._post("login", {"id": robot_id}, once=None)
            request_id, data = text(told, "request_id"), text(told, "data")
            answer = answer_to(key, robot_id, request_id, data)
            body = {"request_id": request_id, "data": answer}
            try:
                return text(await self._post("login_code", body, once=str(uuid.uuid4())), "token")
            except Refused as refused:
                if refused.status != HTTPStatus.UNAUTHORIZED:
                    raise NotRegistered(f"the server says {refused}") from refused
                refusal = str(refused)
        raise NotRegistered(f"the server does not take our answer ({refusal})")

    async def _register(self, why: str) -> None:
        """Make a key pair and hand the public half in with an engineer's credentials; asks until they are taken."""
        while True:
            credentials = await self._credentials(why)
            key = new_key(self.model.key_kind)
            body = {
                "login": credentials[0],
                "password": credentials[1],
                "public_key": public_pem(key),
                "robot_model_id": self.model.id,
                "robot_model_name": self.model.name,
            }
            try:
                told = await self._post("new_login", body, once=str(uuid.uuid4()))
            except Refused as refused:
                why, self.given = f"the server refused: {refused.detail}", None
                log.warning("The engineer's sign-in failed: %s.", refused)
                continue
            self.files.keep(key, text(told, "id"))
            log.info("The robot is registered as %s.", text(told, "id"))
            return

    async def _credentials(self, why: str) -> Credentials:
        # Refused ones of the settings are not tried again: that would only lock the engineer out.
        credentials = self.given or await self.ask(why)
        if credentials is None:
            raise RobotError(f"an engineer has to sign the robot in ({why}): set ROBOT_ENGINEER_LOGIN and _PASSWORD")
        return credentials

    async def _post(self, route: str, body: dict[str, Any], once: str | None) -> Any:
        call = Call("POST", f"{self.base_url}/auth/robot/{route}", body, once=once)
        answer = await self.connection.ask(call)
        try:
            return record(answer)
        except BadAnswer as error:
            raise RobotError(f"{call.url} is no railway server: {error}") from error
