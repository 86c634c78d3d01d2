"""Accounts as the administration sees them, and whom to tell."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import Account, AmendAccount, LastAdmin, OpenAccount, Recipient
from infirmary.contexts.identity.domain import Standing, State
from infirmary.contexts.identity.events import AccountOpened
from infirmary.contexts.identity.tables import AccountRow, RoleRow, contact_points
from infirmary.kernel.access import Caller
from infirmary.kernel.contract import Page
from infirmary.kernel.database.db import Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, StaleVersion
from infirmary.language import ADMIN, Channel, Role, folded

from .base import Base, clash, entity, seen

MOST_WORDS = 5


class AccountCare(Base):
    async def accounts(self, caller: Caller, q: str = "", role: Role | None = None, limit: int = 25,
                       cursor: str | None = None) -> Page[Account]:
        words = folded(q).split()[:MOST_WORDS]
        asked = {f"word_{at}": tables.like(word) for at, word in enumerate(words)}
        async with self.db.reading() as reading:
            rows, next_cursor = await tables.found(len(words), role=role is not None).page(
                reading, after=cursor, limit=limit, **asked, **({"role": role} if role else {}))
            roles = await self.roles(reading, *(row.id for row in rows))
        return Page([seen(row, roles[row.id]) for row in rows], next_cursor)

    async def account(self, caller: Caller, account_id: UUID) -> Account:
        async with self.db.reading() as reading:
            row = await tables.ACCOUNTS.get(reading, account_id)
            if row is None or row.state is State.PENDING:
                raise NotFound
            return seen(row, (await self.roles(reading, row.id))[row.id])

    async def open_account(self, caller: Caller, body: OpenAccount) -> Account:
        name = body.name.strip()
        domain.check_roles(body.roles, patient_id=body.patient_id, doctor_id=body.doctor_id)
        if body.password is not None:
            await self.check_password(body.password, email=body.email, names=[name])
        hashed = await self.passwords.hashed(body.password) if body.password is not None else None
        row = self.new_account(email=body.email, name=name, state=State.ACTIVE, now=self.clock.now(),
                               password_hash=hashed, patient_id=body.patient_id, doctor_id=body.doctor_id,
                               staff_id=body.staff_id)
        try:
            return await self.db.retry(self._open_account, caller, row, sorted(set(body.roles)))
        except UniqueViolation as taken:
            raise clash(taken.on) from None

    async def _open_account(self, caller: Caller, row: AccountRow, roles: list[Role]) -> Account:
        left_over = await self.left_over(row.email_key)
        async with self.db.transaction() as tx:
            await self.take_over(tx, left_over)
            tables.ACCOUNTS.add(tx, row)
            tables.ROLES.add(tx, *(RoleRow(row.id, role) for role in roles))
            tx.emit(AccountOpened(aggregate=row.id, version=row.version, name=row.name, roles=[*roles],
                                  patient_id=row.patient_id, doctor_id=row.doctor_id))
            if row.password_hash is None:
                self.offer_link(tx, row.id, invitation=True)
            tx.audit("account.opened", caller, subject_id=row.patient_id, entity=entity(row), roles=", ".join(roles))
            return tx.answer(seen(row, roles))

    async def amend_account(self, caller: Caller, account_id: UUID, body: AmendAccount, if_match: int) -> Account:
        try:
            return await self.db.retry(self._amend, caller, account_id, body, if_match)
        except UniqueViolation as taken:
            raise clash(taken.on) from None

    async def _amend(self, caller: Caller, account_id: UUID, body: AmendAccount, if_match: int) -> Account:
        async with self.db.transaction() as tx:
            # All of them, in one order, and before the account itself: of two who demote each other, one waits here.
            admins = await tx.all(tables.ADMINS_LOCKED) if domain.may_unseat(body) else []
            row = await tx.one(tables.LOCKED, key=account_id)
            if row is None or row.state is State.PENDING:
                raise NotFound
            if row.version != if_match:
                raise StaleVersion
            before = _standing(row, (await self.roles(tx, row.id))[row.id])
            after = domain.amended(before, body)
            if admins == [row.id] and not (ADMIN in after.roles and not after.disabled):
                raise LastAdmin
            await self._store(tx, row, after)
            if after.roles != before.roles:
                await tx.run(tables.DROP_ROLES, key=row.id)
                tables.ROLES.add(tx, *(RoleRow(row.id, role) for role in sorted(after.roles)))
            if after.disabled and not before.disabled:
                await self.end_all_sessions(tx, row.id)
                await tx.run(tables.VOID_RESETS, account_id=row.id, now=self.clock.now())
            elif after.roles != before.roles or after.links != before.links:
                await self.void_tokens(tx, row.id)
            _note(tx, caller, row, before, after)
            changed = await tables.ACCOUNTS.get(tx, row.id)
            assert changed is not None
            return seen(changed, after.roles)

    @staticmethod
    async def _store(tx: Transaction, row: AccountRow, after: Standing) -> None:
        state = State.DISABLED if after.disabled else State.ACTIVE
        if not await tx.run(tables.AMEND, key=row.id, seen=row.version, new_name=after.name, new_state=state,
                            new_name_key=domain.name_key(after.name), new_doctor_id=after.doctor_id,
                            new_search=domain.search_text(after.name, row.email), new_staff_id=after.staff_id):
            raise StaleVersion

    async def recipients(self, caller: Caller, patient_id: UUID | None = None, doctor_id: UUID | None = None,
                         account_id: UUID | None = None) -> list[Recipient]:
        async with self.db.reading() as reading:
            found = await reading.all(tables.TO_TELL, patient_id=patient_id, doctor_id=doctor_id, account_id=account_id)
            points = await reading.all(contact_points.OF_ACCOUNTS, accounts=[row.id for row in found]) if found else []
        phones = {one.account_id: one.address for one in points if one.channel is Channel.SMS}
        return [Recipient(row.id, row.name, row.email,
                          row.patient_id if row.id == account_id or row.patient_id == patient_id else None,
                          row.doctor_id if row.id == account_id or row.doctor_id == doctor_id else None,
                          phones.get(row.id, "")) for row in found]


def _standing(row: AccountRow, roles: list[Role]) -> Standing:
    return Standing(name=row.name, roles=frozenset(roles), disabled=row.state is State.DISABLED,
                    patient_id=row.patient_id, doctor_id=row.doctor_id, staff_id=row.staff_id)


def _note(tx: Transaction, caller: Caller, row: AccountRow, before: Standing, after: Standing) -> None:
    action = {(False, True): "account.disabled", (True, False): "account.enabled"}.get(
        (before.disabled, after.disabled), "account.amended")
    detail = {"roles": ", ".join(sorted(after.roles))} if after.roles != before.roles else {}
    tx.audit(action, caller, subject_id=row.patient_id, entity=entity(row), **detail)
