"""Mailboxes and phones that are somebody's: confirmed by a code, made a second factor, taken off."""
from __future__ import annotations

from functools import cached_property
from uuid import UUID

from msgspec import structs

from infirmary.contexts.identity.contract import (
    CodeAsked,
    ConfirmContactPoint,
    ContactPoint,
    FactorSet,
    NewContactPoint,
    NoFactor,
    NotConfirmed,
    NoTextMessages,
    PhoneUnfit,
    StrongerFactorNeeded,
    WrongCode,
)
from infirmary.contexts.identity.domain import Purpose, phones
from infirmary.contexts.identity.events import FactorChange
from infirmary.contexts.identity.tables import AccountRow
from infirmary.contexts.identity.tables import contact_points as kept
from infirmary.contexts.identity.tables.contact_points import CONTACT_POINTS, ContactPointRow
from infirmary.contexts.identity.tables.sent_codes import SentCodeRow
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Done
from infirmary.kernel.database.db import Reading
from infirmary.kernel.errors import FieldError
from infirmary.language import Channel

from .posting import asked
from .sessions import Sessions

NAMES = {Channel.EMAIL: "e-mail", Channel.SMS: "text message"}


class ReachingPeople(Sessions):
    @cached_property
    def _countries(self) -> tuple[str | None, frozenset[str]]:
        home = phones.home_of(self.kit.settings.hospital.phone)
        named = self.kit.settings.sms.countries
        return home, frozenset(named.split(",") if named else filter(None, [home]))

    async def contact_points(self, caller: Caller) -> list[ContactPoint]:
        caller.must_reach(account_id=caller.account_id)
        async with self.db.reading() as reading:
            rows = await reading.all(kept.OF_ACCOUNTS, accounts=[caller.account_id])
        return [_seen(row) for row in rows]

    async def add_contact_point(self, caller: Caller, body: NewContactPoint) -> CodeAsked:
        caller.must_reach(account_id=caller.account_id)
        account = await self.account_there(caller.account_id)
        async with self.db.reading() as reading:
            await self.must_be_fresh(reading, caller)
        address = self._address(account, body)
        await self.throttle.take([self.from_here("code asked"), *self.messages_to(account.email_key, body.channel, address)])
        row = self.new_code(account, body.channel, address, Purpose.CONFIRM)
        async with self.db.transaction() as tx:
            self.post(tx, row)
            tx.audit("contact_point.code_asked", caller, subject_id=account.patient_id, entity=f"account/{account.id}",
                     channel=body.channel.value)
            return tx.answer(asked(row))

    def _address(self, account: AccountRow, body: NewContactPoint) -> str:
        if body.channel is Channel.EMAIL:
            return account.email
        if not self.kit.settings.texts:
            raise NoTextMessages
        if body.phone is None:
            raise PhoneUnfit(errors=[FieldError("phone", "Write the number of your mobile phone.")])
        home, countries = self._countries
        return phones.e164(body.phone, home=home, countries=countries)

    async def confirm_contact_point(self, caller: Caller, body: ConfirmContactPoint) -> ContactPoint:
        caller.must_reach(account_id=caller.account_id)
        account = await self.account_there(caller.account_id)
        async with self.db.reading() as reading:
            await self.must_be_fresh(reading, caller)
        row = await self.tried(body.code_id, Purpose.CONFIRM, account.id)
        confirmed = await self.db.retry(self._confirmed, caller, row, body.code) if row else None
        if confirmed is None:
            raise WrongCode("This code does not match, or is good no more.",
                            errors=[FieldError("code", "Type the six digits of the newest message.")])
        return confirmed

    async def _confirmed(self, caller: Caller, sent: SentCodeRow, code: str) -> ContactPoint | None:
        now = self.clock.now()
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            if not await self.used(tx, sent, code):
                return None
            before = await self._there(tx, account.id, sent.channel)
            row = ContactPointRow(account.id, sent.channel, sent.address or account.email, now, before.second_factor if before else False)
            if before is None:   # the account is locked: nobody else makes one
                CONTACT_POINTS.add(tx, row)
            else:
                await tx.run(kept.CONFIRM_AGAIN, key=account.id, on=row.channel, new_address=row.address, now=now)
            if row.channel is Channel.SMS:
                self.tell_of_factor(tx, caller, account, FactorChange.PHONE_ADDED)
            else:   # no other than it was
                tx.audit("contact_point.confirmed", caller, subject_id=account.patient_id, entity=f"account/{account.id}",
                         channel=row.channel.value)
            return tx.answer(_seen(row))

    async def remove_contact_point(self, caller: Caller, channel: Channel) -> Done:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._remove_point, caller, channel)

    async def _remove_point(self, caller: Caller, channel: Channel) -> Done:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            before = await self._there(tx, account.id, channel)
            if before is None:
                raise NoFactor
            await tx.run(kept.DROP, key=account.id, on=channel)
            if before.second_factor:
                self.tell_of_factor(tx, caller, account, FactorChange.CODES_REMOVED, NAMES[channel])
            if channel is Channel.SMS:
                self.tell_of_factor(tx, caller, account, FactorChange.PHONE_REMOVED)
            return tx.answer(Done())

    async def ask_for_codes(self, caller: Caller, channel: Channel) -> ContactPoint:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._ask_for_codes, caller, channel)

    async def _ask_for_codes(self, caller: Caller, channel: Channel) -> ContactPoint:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            roles = (await self.roles(tx, account.id))[account.id]
            if not set(self.kit.settings.strong_factor).isdisjoint(roles):
                raise StrongerFactorNeeded
            before = await self._there(tx, account.id, channel)
            if before is None:
                raise NotConfirmed
            if not await tx.run(kept.ASK_FOR_CODES, key=account.id, on=channel):
                raise FactorSet
            self.tell_of_factor(tx, caller, account, FactorChange.CODES_ADDED, NAMES[channel])
            return tx.answer(_seen(structs.replace(before, second_factor=True)))

    async def stop_asking_for_codes(self, caller: Caller, channel: Channel) -> Done:
        caller.must_reach(account_id=caller.account_id)
        return await self.db.retry(self._stop_asking, caller, channel)

    async def _stop_asking(self, caller: Caller, channel: Channel) -> Done:
        async with self.db.transaction() as tx:
            account = await self.to_change(tx, caller, caller.account_id)
            if not await tx.run(kept.STOP_ASKING, key=account.id, on=channel):
                raise NoFactor
            self.tell_of_factor(tx, caller, account, FactorChange.CODES_REMOVED, NAMES[channel])
            return tx.answer(Done())

    @staticmethod
    async def _there(reading: Reading, account_id: UUID, channel: Channel) -> ContactPointRow | None:
        rows = await reading.all(kept.OF_ACCOUNTS, accounts=[account_id])
        return next((row for row in rows if row.channel is channel), None)


def _seen(row: ContactPointRow) -> ContactPoint:
    return ContactPoint(channel=row.channel, shown=row.address if row.channel is Channel.EMAIL else f"…{row.address[-3:]}",
                        confirmed_at=row.confirmed_at, second_factor=row.second_factor)
