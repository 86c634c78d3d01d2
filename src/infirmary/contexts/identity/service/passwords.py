"""Hashing passwords: argon2id, in threads, on half of the cores, and the same work for a name that nobody has."""
from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from infirmary.contexts.identity.contract import HASHING
from infirmary.contexts.identity.domain import normal
from infirmary.kernel.errors import Unavailable

T = TypeVar("T")

TIME_COST, MEMORY_COST = 2, 64 * 1024   # 64 MiB: 0.1 s of one core
AT_ONCE = max(1, (os.cpu_count() or 2) // 2)   # hashes in this process: the other cores are for those who are signed in
WAITING = int(HASHING * 10) * AT_ONCE   # people in the queue; who comes after is told to come back, and who has waited
# HASHING seconds in it: hashed any later, the answer might find nobody waiting
NICENESS = 5     # a hash waits for those who are signed in, and gets a third of a core that is wanted by both


def _give_way() -> None:
    if sys.platform == "linux":   # where each thread has a niceness of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


# Of the process, and not of a request: one that goes away must not let another hash begin beside its own.
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2", initializer=_give_way)


class _Lane:
    """A queue of those who wait to hash; each has as many places as there are threads."""

    def __init__(self) -> None:
        self._places, self._waiting = asyncio.Semaphore(AT_ONCE), 0

    def must_have_room(self) -> None:
        if self._waiting >= WAITING:
            raise _too_many()

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        self.must_have_room()
        self._waiting += 1
        try:
            async with asyncio.timeout(HASHING):
                await self._places.acquire()
        except TimeoutError:
            raise _too_many() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


def _too_many() -> Unavailable:
    return Unavailable("Very many people are signing in just now. Nothing was lost; try again in a few seconds.",
                       retry_after=5)


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(TIME_COST, MEMORY_COST, parallelism=1)
        self._strangers, self._known = _Lane(), _Lane()
        self._nobodys = _random_hash(self._hasher)

    def place(self, *, known: bool = False) -> contextlib.AbstractAsyncContextManager[None]:
        """One's turn to hash. Who is known from before does not wait with strangers: only for the hashes under way."""
        return (self._known if known else self._strangers).place()

    def must_have_room(self) -> None:
        """For strangers, before anything is looked up for them: in a flood of guesses most of them are told here."""
        self._strangers.must_have_room()

    async def hashed(self, password: str, *, known: bool = False) -> str:
        async with self.place(known=known):
            return await _in_thread(lambda: self._hasher.hash(normal(password)))

    async def match(self, stored: str | None, password: str) -> bool:
        """To be asked in one's `place`. Without a stored hash the same work is done for nothing."""
        return await _in_thread(lambda: self._verified(stored or self._nobodys, password)) and stored is not None

    def outdated(self, stored: str) -> bool:
        return self._hasher.check_needs_rehash(stored)

    def _verified(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, normal(password))
        except (VerificationError, InvalidHashError):
            return False


def _random_hash(hasher: PasswordHasher) -> str:
    """A hash that no password has, and that takes as long as any."""
    salt, made = (base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    return (f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${made}")


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
