"""Accounts that patients make for themselves."""
from __future__ import annotations

from msgspec import structs

from infirmary.contexts.identity import domain, tables
from infirmary.contexts.identity.contract import EmailTaken, Registered, RegisterPatient
from infirmary.contexts.identity.domain import State
from infirmary.contexts.identity.events import AccountOpened
from infirmary.contexts.identity.tables import AccountRow, RoleRow
from infirmary.contexts.patients.contract import Demographics, Enrol, Patients
from infirmary.kernel.access import Caller
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.language import PATIENT, service

from .base import Base, clash, entity, themselves


class Registration(Base):
    async def register(self, caller: Caller, body: RegisterPatient) -> Registered:
        """First the e-mail address is taken, then the patient is entered in the register, then the account opened.

        What fails in between leaves a pending account: nobody sees it or can sign in, and registering again takes it
        over. The same person (by all they wrote) keeps the patient that may have been entered the first time; anybody
        else gets a new one, and never what is written about the first.
        """
        await self.throttle.take([self.from_here("register")])
        given, family = body.given_name.strip(), body.family_name.strip()
        await self.check_password(body.password, email=body.email, names=(given, family))
        hashed = await self.passwords.hashed(body.password)
        account = await self.db.retry(self._reserve, body, f"{given} {family}")
        try:
            await self._enrol(account, body)
        except BaseException:
            async with self.db.transaction() as tx:
                await tx.run(tables.LET_GO, key=account.id, seen=account.version, now=self.clock.now())
            raise
        return await self.db.retry(self._open, account, hashed)

    async def _reserve(self, body: RegisterPatient, name: str) -> AccountRow:
        """The unique e-mail address decides who of several is the first."""
        now = self.clock.now()
        claim = self.derived("registration", domain.details(body).encode()).hex()
        row = self.new_account(email=body.email, name=name, state=State.PENDING, now=now, patient_id=new_id(),
                               claim=claim, claimed_until=now + domain.CLAIMED_FOR)
        left_over = await self.left_over(row.email_key)
        if left_over is not None and left_over.claim == claim:
            row = structs.replace(row, patient_id=left_over.patient_id)
        try:
            async with self.db.transaction() as tx:
                await self.take_over(tx, left_over)
                tables.ACCOUNTS.add(tx, row)
        except UniqueViolation as taken:
            raise clash(taken.on) from None
        return row

    async def _enrol(self, account: AccountRow, body: RegisterPatient) -> None:
        assert account.patient_id is not None
        demographics = Demographics(given_name=body.given_name, family_name=body.family_name,
                                    birth_date=body.birth_date, phone=body.phone, email=body.email)
        await self.kit.ask(Patients).enrol(service("identity"), Enrol(patient_id=account.patient_id,
                                                                      demographics=demographics))

    async def _open(self, account: AccountRow, hashed: str) -> Registered:
        assert account.patient_id is not None
        async with self.db.transaction() as tx:
            if not await tx.run(tables.ACTIVATE, key=account.id, seen=account.version, hashed=hashed):
                raise EmailTaken   # taken over: the register of patients took longer to answer than anybody waits
            tables.ROLES.add(tx, RoleRow(account.id, PATIENT))
            tx.emit(AccountOpened(aggregate=account.id, version=account.version + 1, name=account.name, roles=[PATIENT],
                                  patient_id=account.patient_id, doctor_id=None))
            tx.audit("account.registered", themselves(account, [PATIENT]), subject_id=account.patient_id,
                     entity=entity(account))
            return tx.answer(Registered(account.id, account.patient_id))
