"""Passwords: argon2id hashes, made and checked a few at a time off the event loop. Nothing here keeps or logs one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from schemas.errors import Overloaded

T = TypeVar("T")
AT_ONCE: Final = 2
WAITING: Final = 32
"""More than so many sign-ins under way are told to come again: each takes 19 MiB and some 30 ms of a core."""


class Passwords:
    """OWASP's argon2id: 19 MiB, two passes, one lane. A check takes as long for a user who is not there.

    Hashes of other kinds (bcrypt, as seed 002 had them) are not taken: their users need a new password.
    """

    def __init__(self, *, memory_kib: int = 19_456, passes: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._nobody = self._hasher.hash("nobody has this password")
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """Give the hash in PHC string format. Raises Overloaded."""
        return await self._apart(partial(self._hasher.hash, password))

    async def fits(self, password: str, known: str | None) -> bool:
        """Whether a password belongs to a hash; without one, the same work for nothing. Raises Overloaded."""
        readable = known is not None and known.startswith("$argon2")
        fits = await self._apart(partial(self._verify, known if readable and known else self._nobody, password))
        return fits and readable

    def _verify(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _apart(self, work: partial[T]) -> T:
        if self._under_way >= WAITING:
            raise Overloaded("Too many people sign in at once")
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1
