"""Keys are rotated while people sign in, renew and are checked, here, in another process and at another service."""
from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

from infirmary.contexts.identity.contract import Tokens
from infirmary.kernel.access import NOBODY
from infirmary.kernel.tokens import LIFETIME, KeyRing, PublishedKeys, Verifier, public_keys
from infirmary.run.house import KEYS_EVERY

from .builders import Door

STEP = timedelta(seconds=30)
PEOPLE, STEPS = 8, 50


async def test_rotating_under_load_refuses_no_valid_request(door: Door) -> None:
    await door.registers()
    published, asked = PublishedKeys(), itertools.count()

    def guard(keys: object) -> Verifier:
        return Verifier(keys, issuer="https://hospital.test", audience="infirmary", clock=door.clock,   # type: ignore[arg-type]
                        revocations=None)

    guards = [guard(public_keys(door.service.ring)), guard(public_keys(KeyRing(door.folder / "keys", door.clock))),
              guard(published.public)]
    held: dict[int, tuple[datetime, Tokens]] = {}

    async def works(who: int) -> None:
        """With one token for as long as it lives, and then the next."""
        made, tokens = held.get(who) or (door.clock.now(), await door.signs_in())
        if door.clock.now() - made >= LIFETIME - STEP * (1 + who % 3):
            made, tokens = door.clock.now(), await door.refreshes(tokens)
        held[who] = made, tokens
        for one in guards:
            one._known.clear()   # every time as if it were the first
            one.caller(tokens.access_token)
            next(asked)

    signed_by = set()
    for step in range(STEPS):
        if step * STEP.total_seconds() % KEYS_EVERY == 0:
            published.learn((await door.ask.jwks(NOBODY)).keys)
        await asyncio.gather(*(works(who) for who in range(PEOPLE)), asyncio.to_thread(door.service.ring.rotate))
        signed_by.add(door.service.ring.current.kid)
        door.clock.advance(STEP)
    assert next(asked) == PEOPLE * STEPS * len(guards)
    assert len(signed_by) > 25   # of which each was new to everybody once
