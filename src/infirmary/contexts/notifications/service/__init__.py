"""Telling people, and what they and the administrator may ask about it."""
from __future__ import annotations

from uuid import UUID

from infirmary.contexts.appointments.events import (
    MovePlanDone,
    NotSeenThatDay,
    SeriesChanged,
    TimeOffered,
    VisitChanged,
    VisitCompleted,
    WaitLapsed,
)
from infirmary.contexts.identity.contract import LinkExpired, Recipient
from infirmary.contexts.identity.events import (
    FactorChanged,
    PasswordChanged,
    PasswordResetRequested,
    RefreshTokenReused,
    SignInCodeAsked,
)
from infirmary.contexts.notifications import domain, tables
from infirmary.contexts.notifications.contract import Delivery, DeliveryStatus, NothingToRetry, Notification, Unread
from infirmary.contexts.notifications.domain import account, taking_part, together
from infirmary.contexts.notifications.tables import DELIVERIES, NOTIFICATIONS, DeliveryRow, NotificationRow
from infirmary.contexts.patients.contract import Patients
from infirmary.contexts.patients.events import GuardianNamed, GuardianshipEnded
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Done, Page, Stream
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound
from infirmary.kernel.events import Event, Fact

from .choosing import ME, Choosing
from .live import Live
from .sender import Sender


class NotificationsService(Choosing):
    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.patients = kit.ask(Patients)
        self.live = Live(kit.db)
        self.sender = Sender(kit, self._secret)

    # --- Telling ------------------------------------------------------------------------------------------------------

    async def visit_changed(self, event: VisitChanged, fact: Fact) -> None:
        """Tell the patient, who wants it in writing whoever did it, and the doctors, unless it was their own deed."""
        tz, now = self.settings.hospital.tz, self.clock.now()
        await self._tell_both(event, fact, [*domain.about_visit(event, tz=tz, now=now),
                                            *taking_part.about_taking_part(event, tz=tz, now=now)])

    async def series_changed(self, event: SeriesChanged, fact: Fact) -> None:
        """As of a single visit."""
        await self._tell_both(event, fact, together.about_series(event, tz=self.settings.hospital.tz, now=self.clock.now()))

    async def _tell_both(self, event: VisitChanged | SeriesChanged, fact: Fact, news: list[domain.News]) -> None:
        people: list[Recipient] = []
        doctors: list[UUID | None] = [*sorted({one.doctor_id for one in news if one.doctor_id})]
        for doctor_id in doctors or [None] * bool(news):   # two when a visit changes hands; none hears of a part of a plan
            people += await self.identity.recipients(ME, patient_id=event.patient_id, doctor_id=doctor_id)
        told = [(to, one.message) for one in news for to in people
                if (one.patient_id is not None and one.patient_id == to.patient_id)
                or (one.doctor_id is not None and one.doctor_id == to.doctor_id and to.account_id != event.by_account)]
        for one in news:
            if one.patient_id is not None:
                told += await self._for_guardians(one.patient_id, one.message)
        await self._tell(event, fact, told, subject_id=event.patient_id)

    async def plan_done(self, event: MovePlanDone, fact: Fact) -> None:
        """Tell the doctors whose diaries it changed, each once, except whoever did it."""
        told = []
        for one in together.about_plan(event, tz=self.settings.hospital.tz, now=self.clock.now()):
            people = await self.identity.recipients(ME, doctor_id=one.doctor_id)
            told += [(to, one.message) for to in people if to.account_id != event.by_account]
        await self._tell(event, fact, told)

    async def waiting_changed(self, event: TimeOffered | WaitLapsed | NotSeenThatDay, fact: Fact) -> None:
        """Tell the patient, who may have only so long to answer."""
        await self._tell_patient(event, fact, event.patient_id, domain.about_waiting(
            event, tz=self.settings.hospital.tz, now=self.clock.now()))

    async def visit_completed(self, event: VisitCompleted, fact: Fact) -> None:
        """Ask the patient how it was."""
        await self._tell_patient(event, fact, event.patient_id, domain.about_feedback(
            event, tz=self.settings.hospital.tz, now=self.clock.now()))

    async def _tell_patient(self, event: Event, fact: Fact, patient_id: UUID, message: domain.Message) -> None:
        people = await self.identity.recipients(ME, patient_id=patient_id)
        told = [*((to, message) for to in people), *await self._for_guardians(patient_id, message)]
        await self._tell(event, fact, told, subject_id=patient_id)

    async def _for_guardians(self, patient_id: UUID, message: domain.Message) -> list[tuple[Recipient, domain.Message]]:
        """The same for whoever stands for the patient today."""
        guardians = (await self.patients.guardians(ME, patient_id, standing=True)).items
        return [(to, domain.for_guardian(message, one)) for one in guardians
                for to in await self.identity.recipients(ME, patient_id=one.guardian_id)]

    async def guardianship_changed(self, event: GuardianNamed | GuardianshipEnded, fact: Fact) -> None:
        """Tell both."""
        told = [(to, message) for whose, message in zip((event.guardian_id, event.ward_id), domain.about_guardianship(event),
                                                        strict=True)
                for to in await self.identity.recipients(ME, patient_id=whose)]
        await self._tell(event, fact, told, subject_id=event.ward_id)

    async def reset_requested(self, event: PasswordResetRequested, fact: Fact) -> None:
        try:
            link = await self.identity.reset_link(ME, event.aggregate)
        except LinkExpired:   # used, or too old by now: nobody waits for it any more
            return
        message = account.about_reset(invitation=event.invitation, hospital=self.settings.hospital.name)
        await self._tell(event, fact, [(Recipient(event.account_id, link.name, link.email), message)])

    async def code_asked(self, event: SignInCodeAsked, fact: Fact) -> None:
        try:
            sent = await self.identity.sent_code(ME, event.aggregate)
        except NotFound:   # as above
            return
        to = Recipient(sent.account_id, sent.name, sent.email, phone=sent.phone)
        await self._tell(event, fact, [(to, account.about_code())])

    async def password_changed(self, event: PasswordChanged, fact: Fact) -> None:
        await self._warn(event, fact, event.account_id, account.about_new_password())

    async def factor_changed(self, event: FactorChanged, fact: Fact) -> None:
        await self._warn(event, fact, event.account_id, account.about_factor(event.change, event.of))

    async def sign_in_copied(self, event: RefreshTokenReused, fact: Fact) -> None:
        await self._warn(event, fact, event.account_id, account.about_copied_sign_in())

    async def _warn(self, event: Event, fact: Fact, account_id: UUID, message: domain.Message) -> None:
        people = await self.identity.recipients(ME, account_id=account_id)
        await self._tell(event, fact, [(one, message) for one in people])

    async def _tell(self, event: Event, fact: Fact, told: list[tuple[Recipient, domain.Message]], *,
                    subject_id: UUID | None = None) -> None:
        """Inbox and messages together, once per fact and person; for who is patient and doctor, the patient's news."""
        if not told:   # nobody has an account; every fact that was handled is marked so
            async with self.db.transaction(once=fact.id):
                return
        now = self.clock.now()
        each = dict(sorted({to.account_id: (to, message) for to, message in reversed(told)}.items()))
        ways = await self.ways_to(each)
        try:
            async with self.db.transaction(once=fact.id) as tx:
                NOTIFICATIONS.add(tx, *(
                    NotificationRow(new_id(), account, fact.id, one.title, one.body, one.link, now, None)
                    for account, (_, one) in each.items() if one.link))
                DELIVERIES.add(tx, *[
                    DeliveryRow(new_id(), fact.id, account, channel, one.kind, event.aggregate, address, one.mail_title,
                                one.body, one.link, one.label, DeliveryStatus.PENDING, 0, "", now, now, None)
                    for account, (to, one) in each.items()
                    for channel, address in (await self.within_reason(tx, ways[account], to)).items()])
                tx.audit("notification.written", ME, subject_id=subject_id, entity=f"fact/{fact.id}",
                         about=fact.kind, people=str(len(each)))
        except UniqueViolation:   # told before, longer ago than the kernel's inbox remembers
            return
        self.sender.wake()
        self.live.wake(each)

    async def _secret(self, row: DeliveryRow) -> str:
        if row.kind == domain.CODE:
            return (await self.identity.sent_code(ME, row.about)).code
        return (await self.identity.reset_link(ME, row.about)).url

    # --- The inbox ----------------------------------------------------------------------------------------------------

    async def notifications(self, caller: Caller, unread: bool = False, limit: int = 25,
                            cursor: str | None = None) -> Page[Notification]:
        mine = caller.only()
        pages = tables.INBOX_UNREAD if unread else tables.INBOX
        async with self.db.reading() as reading:
            rows, following = await pages.page(reading, after=cursor, limit=limit, **mine)
        return Page([_as_notification(row) for row in rows], following)

    async def unread(self, caller: Caller) -> Unread:
        mine = caller.only()
        async with self.db.reading() as reading:
            return Unread(await reading.one(tables.UNREAD, **mine) or 0)

    async def read(self, caller: Caller, notification_id: UUID) -> Notification:
        async with self.db.transaction() as tx:
            row = await NOTIFICATIONS.get(tx, notification_id)
            if row is None:
                raise NotFound
            caller.must_reach(account_id=row.account_id)
            if await tx.run(tables.READ, key=row.id, now=self.clock.now()):
                tx.audit("notification.read", caller, entity=f"notification/{row.id}")
                row = await NOTIFICATIONS.get(tx, row.id) or row
            answer = tx.answer(_as_notification(row))
        self.live.wake([row.account_id])
        return answer

    async def read_all(self, caller: Caller) -> Done:
        mine = caller.only()
        async with self.db.transaction() as tx:
            if count := await tx.run(tables.READ_ALL, now=self.clock.now(), **mine):
                tx.audit("notification.all_read", caller, entity=f"account/{mine['account_id']}", count=str(count))
            answer = tx.answer(Done())
        self.live.wake(mine.values())
        return answer

    async def stream(self, caller: Caller) -> Stream:
        return Stream(self.live.events(caller.only()["account_id"]))

    # --- The delivery log ---------------------------------------------------------------------------------------------

    async def deliveries(self, caller: Caller, status: DeliveryStatus | None = None, limit: int = 25,
                         cursor: str | None = None) -> Page[Delivery]:
        async with self.db.reading() as reading:
            rows, following = await tables.log_of(status).page(reading, after=cursor, limit=limit)
        return Page([_as_delivery(row) for row in rows], following)

    async def retry(self, caller: Caller, delivery_id: UUID) -> Delivery:
        async with self.db.transaction() as tx:
            retried = await tx.run(tables.RETRY, key=delivery_id, now=self.clock.now())
            row = await DELIVERIES.get(tx, delivery_id)
            if row is None:
                raise NotFound
            if not retried:
                raise NothingToRetry
            tx.audit("delivery.retried", caller, entity=f"delivery/{row.id}", kind=row.kind)
            answer = tx.answer(_as_delivery(row))
        self.sender.wake()
        return answer

    async def forget(self) -> None:
        """What was read, and what was sent, so long ago that nobody asks for it."""
        before = self.clock.now() - domain.KEPT
        async with self.db.transaction() as tx:
            await tx.run(tables.FORGET_READ, before=before)
            await tx.run(tables.FORGET_SENT, before=before)
            await tx.run(tables.FORGET_TEXTED, before=self.clock.now().date())


def _as_notification(row: NotificationRow) -> Notification:
    return Notification(id=row.id, account_id=row.account_id, title=row.title, body=row.body, link=row.link,
                        created_at=row.created_at, read_at=row.read_at)


def _as_delivery(row: DeliveryRow) -> Delivery:
    return Delivery(id=row.id, channel=row.channel, kind=row.kind, to=domain.masked(row.address), status=row.status,
                    attempts=row.attempts, error=row.error, created_at=row.created_at, sent_at=row.sent_at)
