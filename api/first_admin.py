"""The first administrator, from settings: made at the start unless there is a user of that name."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field

from pydantic import ValidationError

from api.routes.users import NewUser, People, creation
from schemas.errors import Overloaded, TransientFailure

log = logging.getLogger(__name__)
RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """Name and password. Neither is looked at again once the user is there; change them as any user's."""

    username: str
    password: str = field(repr=False)
    full_name: str = "Administrator"


def checked(first: FirstAdmin) -> NewUser:
    """What is to be created. Raises ValueError with a sentence that does not show the password."""
    try:
        return NewUser(username=first.username, password=first.password, full_name=first.full_name, is_admin=True)
    except ValidationError as error:
        raise ValueError("The first administrator needs a name of 3 to 64 characters and a password of 6.") from error


async def ensure(people: People, first: FirstAdmin) -> None:
    """Return when the user is there; tries until then. Raises ValueError as `checked`."""
    new = checked(first)
    user_id = str(uuid.uuid4())
    record = await creation(people, new, user_id, "settings")
    while True:
        try:
            answer = await people.writer.command("CreateUser", user_id, record, command_id=user_id)
        except (TransientFailure, Overloaded) as failure:
            log.info("the first administrator is not made yet: %s", failure)
            await asyncio.sleep(RETRY_S)
            continue
        if answer.accepted:
            log.info("the first administrator %s was made", new.username)
        elif answer.refusal != "username_taken":
            log.error("the first administrator was refused: %s", answer.detail)
        return
