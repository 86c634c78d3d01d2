"""Clients that book, move and cancel through the gateway, and write down what they heard."""
from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp

from .history import History

TRIES = 60         # of one intent, before nobody knows
PATIENCE = 6.0     # seconds for one try
SLOT = timedelta(minutes=20)


@dataclass
class Clinic:
    """Whom to book with whom; few enough that they get into each other's way."""

    doctors: list[str]
    patients: list[str]
    first_day: datetime
    slots: int


@dataclass
class Client:
    number: int
    base: str
    clinic: Clinic
    history: History
    token: Callable[[], str]
    chance: random.Random
    booked: list[str] = field(default_factory=list)   # visits that are this client's, and not yet cancelled

    async def run(self, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession(self.base, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as self.http:
            while not stop.is_set():
                dice = self.chance.random()
                if dice < .65 or not self.booked:
                    await self.book()
                elif dice < .80:
                    await self.cancel()
                elif dice < .92:
                    await self.move()
                else:
                    await self.read()
                await asyncio.sleep(self.chance.uniform(0, .05))

    def slot(self) -> datetime:
        return self.clinic.first_day + SLOT * self.chance.randrange(self.clinic.slots)

    async def book(self) -> None:
        asked = {"doctor": self.chance.choice(self.clinic.doctors), "patient": self.chance.choice(self.clinic.patients),
                 "starts_at": self.slot().isoformat()}
        answer = await self.intend("book", "/api/v1/appointments", {
            "doctor_id": asked["doctor"], "patient_id": asked["patient"], "starts_at": asked["starts_at"],
            "reason": "Check-up"}, asked)
        if answer:
            self.booked.append(answer["id"])

    async def cancel(self) -> None:
        visit = self.booked.pop(self.chance.randrange(len(self.booked)))
        await self.intend("cancel", f"/api/v1/appointments/{visit}/cancel", {"reason": "Feels better"}, {"visit": visit})

    async def move(self) -> None:
        visit, to = self.chance.choice(self.booked), self.slot().isoformat()
        await self.intend("move", f"/api/v1/appointments/{visit}/reschedule", {"starts_at": to},
                          {"visit": visit, "starts_at": to})

    async def read(self) -> None:
        key = uuid4().hex
        self.history.write(self.number, "read", key, "invoke")
        status, _ = await self.send("GET", f"/api/v1/appointments/{self.chance.choice(self.booked)}")
        self.history.write(self.number, "read", key, "ok" if status == 200 else "info" if status == 0 else "fail",
                           status=status)

    async def intend(self, what: str, path: str, body: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any] | None:
        """One intent under one key, repeated until somebody knows what became of it."""
        key = uuid4().hex
        self.history.write(self.number, what, key, "invoke", **asked)
        for tried in range(TRIES):
            status, answer = await self.send("POST", path, body, key)
            if status in (200, 201):
                self.history.write(self.number, what, key, "ok", visit=answer["id"], starts_at=datetime.fromisoformat(
                    answer["starts_at"]).isoformat())
                return answer
            if 400 <= status < 500 and status != 429:
                self.history.write(self.number, what, key, "fail", status=status, code=answer.get("code", ""))
                return None
            await asyncio.sleep(min(.1 * 2 ** tried, 1) * self.chance.uniform(.5, 1.5))
        self.history.write(self.number, what, key, "info", **asked)
        return None

    async def send(self, verb: str, path: str, body: Any = None, key: str = "") -> tuple[int, dict[str, Any]]:
        """(0, {}) where there was no answer."""
        headers = {"Authorization": f"Bearer {self.token()}", **({"Idempotency-Key": key} if key else {})}
        try:
            async with self.http.request(verb, path, json=body, headers=headers) as reply:
                if reply.status >= 500 and (reply.status not in (503, 504) or "Retry-After" not in reply.headers):
                    self.history.write(self.number, "fault", key, "info", status=reply.status, at=path)
                return reply.status, await reply.json(content_type=None) or {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0, {}
