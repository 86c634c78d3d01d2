"""Nobody guesses a password, whatever they guess from, and others hardly notice.

`make guesses` makes a hundred thousand guesses from each kind of sender, and holds the answers of others against those
before and after; `make test` makes fewer and counts only.
"""
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infirmary.contexts.identity.contract import Identity, OpenAccount, TokenRequest
from infirmary.contexts.identity.domain import PER_ADDRESS, TRIES_OVERALL, TRIES_PER_ACCOUNT
from infirmary.kernel.access import NOBODY
from infirmary.language import Role
from infirmary.run.house import House
from infirmary.settings import Settings
from tests.architecture.world import HOUSE
from tests.hospital import free_port, token
from tests.house import admin

from .attack import Bystander, Outcome, Regular, a_guess, guessed

GUESSES = int(os.environ.get("GUESSES", "2400"))
FULL = GUESSES >= 8_000   # with passwords that are as dear to hash as they are in a hospital
RATE = 400 if FULL else 2_000   # a second
PEOPLE = 50 if FULL else 5
BEFORE = 500                  # questions of a bystander by which the others are judged
RIGHT = "three unrelated words of {}"
URL = "https://hospital.test"


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[tuple[Settings, int, str, str]]:
    """In production, with people who have passwords; its settings, its port, the token of somebody signed in, and the device
    of somebody who was."""
    settings = Settings(data=str(tmp_path / "data"), public_url=URL)
    bystander, device = asyncio.run(_peopled(settings))
    port = free_port()
    environment = {**os.environ, "INFIRMARY_ENVIRONMENT": "production", "INFIRMARY_DATA": settings.data,
                   "INFIRMARY_PUBLIC_URL": URL, "INFIRMARY_MAIL__PORT": "9", "INFIRMARY_LOG_LEVEL": "error"}
    process = subprocess.Popen([sys.executable, "-m", "tests.guesses.counted", str(port), *([] if FULL else ["quick"])], env=environment)
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2):
                break
            assert process.poll() is None and time.monotonic() < until, "the hospital did not open"
            time.sleep(.1)
        yield settings, port, bystander, device
    finally:
        process.terminate()
        process.wait(20)


async def _peopled(settings: Settings) -> tuple[str, str]:
    house = House(settings) if FULL else House(settings, contexts=HOUSE)
    await house.open()
    try:
        for n in range(PEOPLE):
            await house.ask(Identity).open_account(admin, OpenAccount(
                email=f"known-{n}@example.test", name="Some Body", roles=[Role.NURSE], password=RIGHT.format(n)))
        one = (await house.ask(Identity).accounts(admin, limit=1)).items[0]
        known = await house.ask(Identity).token(NOBODY, TokenRequest(
            grant_type="password", username="known-0@example.test", password=RIGHT.format(0)))
        return token(settings, Role.NURSE, account_id=one.id), known.device_token
    finally:
        await house.close()


class Guesser:
    """Guesses at people who are there and at names nobody has, in turn; and the right password, once ten wrong ones were
    looked at (who is told to come back was not, and did not use up a try), or who guesses alone has been turned away."""

    def __init__(self, *, alone: bool) -> None:
        self.looked_at, self.right, self._chance = [0] * PEOPLE, 0, random.Random(1)
        self._alone, self._turned_away = alone, False

    def guess(self, n: int) -> bytes:
        who = n // 2 % PEOPLE
        if n % 2:
            return a_guess(f"nobody-{n}@example.test", "a guess", self._chance)
        right = self._turned_away or self.looked_at[who] >= TRIES_PER_ACCOUNT.tries
        self.right += right
        return a_guess(f"known-{who}@example.test", RIGHT.format(who) if right else f"guess {n}", self._chance)

    def heard(self, n: int, status: int) -> None:
        self._turned_away |= self._alone and status == 429
        if not n % 2 and status == 401:
            self.looked_at[n // 2 % PEOPLE] += 1


async def _attacked(port: int, bystander: str, guesser: Guesser, regular: Regular, addresses: list[str],
                    ) -> tuple[Outcome, float, float]:
    """What the guesses were answered with, and the p95 of somebody else: in peace, and meanwhile."""
    before, meanwhile, after = (Bystander(port, bystander) for _ in range(3))
    questions = BEFORE if FULL else 50
    await before.works(lambda: len(before.seconds) >= questions)
    over = asyncio.Event()   # they end what they are at, so each of their hashes is known by its answer
    others = asyncio.gather(meanwhile.works(over.is_set), regular.comes_and_goes(over.is_set))
    outcome = await guessed(port, guesser.guess, guesser.heard, GUESSES, addresses, RATE)
    over.set()
    await others
    await after.works(lambda: len(after.seconds) >= questions)
    return outcome, max(before.p95, after.p95), meanwhile.p95


@pytest.mark.parametrize("senders", [1, 1_000])
def test_no_guess_succeeds_and_hashing_stays_within_bounds(hospital: tuple[Settings, int, str, str], senders: int,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    settings, port, bystander, device = hospital
    guesser, regular = Guesser(alone=senders == 1), Regular(port, "known-0@example.test", RIGHT.format(0), device)
    addresses = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(senders)]
    outcome, in_peace, meanwhile = asyncio.run(_attacked(port, bystander, guesser, regular, addresses))
    hashed = (settings.folder / "hashes").stat().st_size - regular.statuses.total()
    with capsys.disabled():
        print(json.dumps({"guesses": GUESSES, "addresses": senders, "seconds": round(outcome.seconds),
                          "answers": dict(sorted(outcome.statuses.items())), "lost": outcome.lost, "hashed": hashed,
                          "right_ones": guesser.right,
                          "signed_in_on_a_known_device": dict(regular.statuses),
                          "p95_ms_in_peace": round(in_peace * 1000, 2), "p95_ms_meanwhile": round(meanwhile * 1000, 2)}))
    assert outcome.lost == 0
    assert set(regular.statuses) == {200}
    assert set(outcome.statuses) <= {401, 429, 503}   # never 200
    assert max(guesser.looked_at) <= TRIES_PER_ACCOUNT.tries
    assert guesser.right > 0
    windows = 1 + int(outcome.seconds / TRIES_OVERALL.window.total_seconds())
    assert outcome.statuses[401] <= hashed
    assert hashed <= min(senders * PER_ADDRESS.tries, windows * TRIES_OVERALL.tries)
    if FULL:
        assert meanwhile < 2 * in_peace
