"""A contract that is no hospital: enough to show what the kernel promises."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from infirmary.kernel.access import ANY, ANYONE, Caller, Scope
from infirmary.kernel.contract import Contract, Done, File, Form, Instant, Limit, Page, delete, get, post, put
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Database
from infirmary.kernel.errors import Conflict, NotFound, StaleVersion

MINE = Scope("mine", "owner_id")
POLICY = {"owner": MINE, "keeper": ANY}


class NewToy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=20)]
    owner_id: UUID
    wheels: Annotated[int, Meta(ge=0, le=16)] = 4


class Toy(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    owner_id: UUID
    wheels: int
    made_at: datetime
    version: int = 1


class SignIn(Form, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    years: int = 0


class ToyIsBroken(Conflict):
    """The toy is broken."""


class Toys(Contract, context="toys"):
    @post("/toys", status=201, allow=POLICY, refuses=[ToyIsBroken])
    async def make(self, caller: Caller, body: NewToy) -> Toy:
        """Make a toy."""

    @get("/toys", allow=POLICY)
    async def toys(self, caller: Caller, owner_id: UUID | None = None, from_: Instant | None = None,
                   limit: Limit = 25, big: bool = False) -> Page[Toy]:
        """List toys."""

    @get("/toys/{toy_id}", allow=POLICY, refuses=[NotFound])
    async def toy(self, caller: Caller, toy_id: UUID) -> Toy:
        """One toy."""

    @put("/toys/{toy_id}", allow=POLICY, refuses=[NotFound])
    async def change(self, caller: Caller, toy_id: UUID, body: NewToy, if_match: int) -> Toy:
        """Change a toy."""

    @delete("/toys/{toy_id}", allow={"keeper": ANY}, refuses=[NotFound])
    async def scrap(self, caller: Caller, toy_id: UUID, if_match: int | None = None) -> Done:
        """Scrap a toy."""

    @get("/toys/{toy_id}/manual.txt", allow={ANYONE: ANY}, media="text/plain")
    async def manual(self, caller: Caller, toy_id: UUID) -> File:
        """How to play."""

    @post("/sign-in", allow={ANYONE: ANY})
    async def sign_in(self, caller: Caller, body: SignIn) -> Done:
        """A form."""

    @post("/queue", allow=POLICY, queues=2)
    async def queue(self, caller: Caller) -> Done:
        """Wait for one's turn."""

    @get("/forgetful", allow=POLICY)
    async def forgetful(self, caller: Caller) -> Done:
        """Its service forgets to apply the scope."""

    @get("/faulty", allow={ANYONE: ANY})
    async def faulty(self, caller: Caller) -> Done:
        """Its service has a fault."""


class ToyBox(Toys):
    """Keeps toys in memory, and the answers of keyed requests in the database."""

    def __init__(self, db: Database) -> None:
        self.db, self.kept, self.made = db, dict[UUID, Toy](), 0

    async def make(self, caller: Caller, body: NewToy) -> Toy:
        caller.must_reach(body)
        if body.name == "broken":
            raise ToyIsBroken(name=body.name)
        toy = Toy(id=new_id(), name=body.name, owner_id=body.owner_id, wheels=body.wheels,
                  made_at=datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=self.made))
        async with self.db.transaction() as tx:
            tx.audit("toy.made", caller, entity=f"toy/{toy.id}")
            tx.answer(toy)
        self.made += 1
        self.kept[toy.id] = toy
        return toy

    async def toys(self, caller: Caller, owner_id: UUID | None = None, from_: datetime | None = None,
                   limit: int = 25, big: bool = False) -> Page[Toy]:
        only = caller.only(owner_id=owner_id)
        return Page([toy for toy in self.kept.values() if only.get("owner_id", toy.owner_id) == toy.owner_id
                     and (from_ is None or toy.made_at >= from_) and (not big or toy.wheels > 4)][:limit])

    async def toy(self, caller: Caller, toy_id: UUID) -> Toy:
        found = self.kept.get(toy_id)
        caller.must_reach(found)
        if found is None:
            raise NotFound
        return found

    async def change(self, caller: Caller, toy_id: UUID, body: NewToy, if_match: int) -> Toy:
        found = await self.toy(caller, toy_id)
        if found.version != if_match:
            raise StaleVersion
        self.kept[toy_id] = Toy(id=toy_id, name=body.name, owner_id=found.owner_id, wheels=body.wheels,
                                made_at=found.made_at, version=found.version + 1)
        return self.kept[toy_id]

    async def scrap(self, caller: Caller, toy_id: UUID, if_match: int | None = None) -> Done:
        self.kept.pop(toy_id, None)
        return Done()

    async def manual(self, caller: Caller, toy_id: UUID) -> File:
        return File("manual.txt", b"Push it.")

    async def sign_in(self, caller: Caller, body: SignIn) -> Done:
        return Done()

    async def queue(self, caller: Caller) -> Done:
        return Done()

    async def forgetful(self, caller: Caller) -> Done:
        return Done()

    async def faulty(self, caller: Caller) -> Done:
        raise ZeroDivisionError("Rosa Delgado, born 1968")   # a message that must reach nobody
