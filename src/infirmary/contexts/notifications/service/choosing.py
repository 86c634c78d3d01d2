"""How people want to be told, and how often a number may be written to."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

from infirmary.contexts.identity.contract import Identity, Recipient
from infirmary.contexts.notifications import domain, tables
from infirmary.contexts.notifications.contract import (
    NoPhone,
    Notifications,
    NoWayChosen,
    Preferences,
    PreferencesForm,
)
from infirmary.contexts.notifications.tables import PREFERENCES, TEXTED, PreferenceRow, TextedRow
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import FieldError, StaleVersion
from infirmary.language import Channel, service
from infirmary.settings import Settings

ME = service("notifications")


class Choosing(Notifications):
    def __init__(self, kit: Kit) -> None:
        self.db, self.clock = kit.db, kit.clock
        self.settings: Settings = kit.settings
        self.identity = kit.ask(Identity)

    async def preferences(self, caller: Caller) -> Preferences:
        mine = caller.only()["account_id"]
        phone = await self._phone(mine)
        async with self.db.reading() as reading:
            row = await PREFERENCES.get(reading, mine)
        return _as_preferences(row or PreferenceRow(mine, email=True, sms=False, version=0), phone)

    async def prefer(self, caller: Caller, body: PreferencesForm, if_match: int) -> Preferences:
        mine = caller.only()["account_id"]
        if not (body.email or body.sms):
            raise NoWayChosen
        phone = await self._phone(mine)
        if body.sms and not phone:
            raise NoPhone(errors=[FieldError("sms", "Add a phone number under Security first.")])
        row = PreferenceRow(mine, body.email, body.sms, if_match + 1)
        try:
            async with self.db.transaction() as tx:
                if if_match == 0:   # nothing chosen so far: of two who begin, the row decides
                    PREFERENCES.add(tx, row)
                elif not await tx.run(tables.PREFER, key=mine, seen=if_match, by_email=body.email, by_sms=body.sms):
                    raise StaleVersion
                tx.audit("notification.preferred", caller, entity=f"account/{mine}", email=str(body.email), sms=str(body.sms))
                return tx.answer(_as_preferences(row, phone))
        except UniqueViolation:
            raise StaleVersion from None

    async def _phone(self, account_id: UUID) -> str:
        people = await self.identity.recipients(ME, account_id=account_id)
        return next((one.phone for one in people), "") if self.settings.texts else ""

    # --- told ---------------------------------------------------------------------------------------------------------

    async def ways_to(self, told: Mapping[UUID, tuple[Recipient, domain.Message]]) -> dict[UUID, dict[Channel, str]]:
        """By account: by which channels, and where."""
        async with self.db.reading() as reading:
            rows = await reading.all(tables.PREFERENCES_OF, accounts=list(told))
        said = {row.account_id: {Channel.EMAIL: row.email, Channel.SMS: row.sms and self.settings.texts} for row in rows}
        found = {account: domain.ways(to, message, said.get(account, {})) for account, (to, message) in told.items()}
        for number in {ways[Channel.SMS] for ways in found.values() if Channel.SMS in ways}:
            with suppress(UniqueViolation):   # counted today already
                async with self.db.transaction() as tx:
                    TEXTED.add(tx, TextedRow(_key(number), self.clock.now().date(), 0))
        return found

    async def within_reason(self, tx: Transaction, ways: dict[Channel, str], to: Recipient) -> dict[Channel, str]:
        """E-mail instead for a number that had its share today. Codes, which have no other way, identity has counted."""
        if Channel.SMS not in ways or not to.email or await tx.run(
                tables.TEXT, key=_key(ways[Channel.SMS]), on=self.clock.now().date(), most=domain.TEXTS_A_DAY):
            return ways
        return {Channel.EMAIL: to.email}


def _key(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()


def _as_preferences(row: PreferenceRow, phone: str) -> Preferences:
    return Preferences(email=row.email, sms=row.sms, phone=domain.masked(phone) if phone else "", version=row.version)
