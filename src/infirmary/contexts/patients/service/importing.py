"""People entered from a table: taken in, checked, registered row by row, and taken back."""
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import islice
from tempfile import SpooledTemporaryFile
from uuid import UUID

from msgspec.structs import replace

from infirmary.contexts.identity.contract import Identity
from infirmary.contexts.patients.contract import Demographics, Match, Patient
from infirmary.contexts.patients.contract.imports import (
    ImportRow,
    ImportStatus,
    Kept,
    NotATable,
    PatientImport,
    RowChoice,
    RowStatus,
    UploadedBefore,
)
from infirmary.contexts.patients.domain import alike, sheets
from infirmary.contexts.patients.domain import imports as rules
from infirmary.contexts.patients.domain.imports import Import, Row
from infirmary.contexts.patients.tables import imports as tables
from infirmary.contexts.patients.tables import merging, people
from infirmary.contexts.patients.tables.imports import IMPORTS, ROWS
from infirmary.kernel.access import Caller
from infirmary.kernel.context import Kit
from infirmary.kernel.contract import Download, Page, Upload
from infirmary.kernel.database.columns import new_id
from infirmary.kernel.database.db import Reading, Transaction
from infirmary.kernel.database.errors import UniqueViolation
from infirmary.kernel.errors import NotFound, StaleVersion, TooLarge
from infirmary.language import service

from .register import Registering

ME = service("patients")
LOOKS_EVERY = 5.0      # seconds, when nobody wakes it: for what another process was asked to do
BATCH = 500            # rows taken in at once
CHECKED_AT_ONCE = 20
LookedUp = tuple[Row, list[Match], Demographics | None]
IN_MEMORY = 1 << 20    # bytes of an upload; what is more waits in a file without a name


class Importing(Registering):
    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.identity = kit.ask(Identity)
        self.limits = kit.settings.imports
        self.import_key = kit.secret("imports")
        self.to_import = asyncio.Event()   # there may be an import to work on

    # --- Taking it in -------------------------------------------------------------------------------------------------

    async def begin_import(self, caller: Caller, body: Upload) -> PatientImport:
        assert caller.account_id is not None
        digest, size = hmac.new(self.import_key, caller.account_id.bytes, hashlib.sha256), 0
        with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            async for chunk in body.chunks:
                size += len(chunk)
                if size > self.limits.most_bytes:
                    raise TooLarge(f"A table may hold {self.limits.most_bytes:,} bytes. Send it in parts.")
                digest.update(chunk)
                file.write(chunk)
            try:
                taken_in = await self.db.retry(self._taken_in, caller, file, digest.hexdigest())
            except UniqueViolation:
                async with self.db.reading() as reading:
                    before = await reading.one(tables.DONE_BEFORE, digest=digest.hexdigest())
                if before is None:
                    raise
                raise UploadedBefore(import_id=str(before.id)) from None
        self.to_import.set()
        return taken_in

    async def _taken_in(self, caller: Caller, file: SpooledTemporaryFile[bytes], digest: str) -> PatientImport:
        import_id, now, count = new_id(), self.clock.now(), 0
        with sheets.opened(file) as sheet:
            async with self.db.transaction() as tx:
                rows = iter(sheet)
                while batch := list(islice(rows, BATCH)):
                    count += len(batch)
                    if count > self.limits.most_rows:
                        raise TooLarge(f"A table may hold {self.limits.most_rows:,} rows. Send it in parts.")
                    ROWS.add(tx, *(Row(new_id(), import_id, line, said, RowStatus.UNCHECKED, chosen=False, errors=faults,
                                       alike=[], person_key=None, same_as_line=None, patient_id=None, kept=None, version=1)
                                   for line, said, faults in batch))
                    await tx.push()
                if not count:
                    raise NotATable("There are no rows below the names of the columns.")
                whole = Import(import_id, ImportStatus.CHECKING, sheet.columns, count, digest, now, now, *_by(caller),
                               None, 1)
                IMPORTS.add(tx, whole)
                tx.audit("import.uploaded", caller, entity=f"patient_import/{import_id}", rows=str(count))
                return rules.shown(whole, {RowStatus.UNCHECKED: count})

    # --- Looking ------------------------------------------------------------------------------------------------------

    async def imports(self, caller: Caller, limit: int = 25, cursor: str | None = None) -> Page[PatientImport]:
        async with self.db.reading() as reading:
            found, further = await tables.PAGES.page(reading, after=cursor, limit=limit)
            return Page(await _shown(reading, *found), further)

    async def patient_import(self, caller: Caller, import_id: UUID) -> PatientImport:
        async with self.db.reading() as reading:
            [shown] = await _shown(reading, await _known(reading, import_id))
        return shown

    async def import_rows(self, caller: Caller, import_id: UUID, status: RowStatus | None = None, limit: int = 25,
                          cursor: str | None = None) -> Page[ImportRow]:
        async with self.db.reading() as reading:
            await _known(reading, import_id)
            found, further = await _rows(reading, import_id, status, cursor, limit)
        async with self.db.transaction() as tx:
            tx.audit("import.read", caller, entity=f"patient_import/{import_id}", rows=str(len(found)))
        return Page([rules.row_shown(row) for row in found], further)

    async def faulty_rows(self, caller: Caller, import_id: UUID) -> Download:
        async with self.db.reading() as reading:
            whole = await _known(reading, import_id)
        async with self.db.transaction() as tx:
            tx.audit("import.read", caller, entity=f"patient_import/{import_id}", rows=RowStatus.FAULTY)
        return Download("to-mend.csv", self._to_mend(whole))

    async def _to_mend(self, whole: Import) -> AsyncIterator[bytes]:
        fields = [column.field for column in whole.columns if column.field]
        yield sheets.BEGINS + sheets.written([[*fields, sheets.WHAT_TO_MEND]])
        after: str | None = None
        while True:
            async with self.db.reading() as reading:
                found, after = await _rows(reading, whole.id, RowStatus.FAULTY, after, BATCH)
            yield sheets.written([*((row.said or {}).get(field, "") for field in fields), sheets.to_mend(row.errors)]
                                 for row in found)
            if after is None:
                return

    # --- Deciding -----------------------------------------------------------------------------------------------------

    async def choose_for_row(self, caller: Caller, import_id: UUID, line: int, body: RowChoice, if_match: int) -> ImportRow:
        return await self.db.retry(self._chosen, caller, import_id, line, body, if_match)

    async def _chosen(self, caller: Caller, import_id: UUID, line: int, body: RowChoice, if_match: int) -> ImportRow:
        async with self.db.transaction() as tx:
            whole, row = await _held(tx, import_id), await tx.one(tables.ROW, import_id=import_id, line=line)
            if row is None:
                raise NotFound
            if row.version != if_match:
                raise StaleVersion
            kept = await ROWS.save(tx, rules.chosen(whole, row, body.choice))
            tx.audit("import.row_chosen", caller, entity=f"patient_import/{import_id}", line=str(line), choice=body.choice)
            return rules.row_shown(kept)

    async def apply_import(self, caller: Caller, import_id: UUID, if_match: int | None = None) -> PatientImport:
        return await self.db.retry(self._set_to, caller, import_id, if_match, ImportStatus.APPLYING)

    async def undo_import(self, caller: Caller, import_id: UUID, if_match: int | None = None) -> PatientImport:
        return await self.db.retry(self._set_to, caller, import_id, if_match, ImportStatus.UNDOING)

    async def _set_to(self, caller: Caller, import_id: UUID, if_match: int | None, work: ImportStatus) -> PatientImport:
        """Asked again while it is at work or has nothing left to do, it changes nothing."""
        async with self.db.transaction() as tx:
            whole = await _held(tx, import_id)
            [before] = await _shown(tx, whole)
            if whole.status is work or (whole.status is rules.AFTER[work] and not before.counts.get(rules.DUE[work])):
                return tx.answer(before)
            if if_match not in (None, whole.version):
                raise StaleVersion
            rules.set_to(whole, work)
            by_account, by_name, by_roles = _by(caller)
            kept = await self._goes_on(tx, replace(whole, by_account=by_account, by_name=by_name, by_roles=by_roles), work)
            tx.audit(f"import.{work}", caller, entity=f"patient_import/{import_id}")
            answer = tx.answer(rules.shown(kept, before.counts))
        self.to_import.set()
        return answer

    async def stop_import(self, caller: Caller, import_id: UUID) -> PatientImport:
        return await self.db.retry(self._stopped, caller, import_id)

    async def _stopped(self, caller: Caller, import_id: UUID) -> PatientImport:
        async with self.db.transaction() as tx:
            whole = await _held(tx, import_id)
            if whole.status is ImportStatus.APPLYING:
                whole = await self._goes_on(tx, whole, ImportStatus.STOPPED)
                await _audit_counts(tx, caller, whole)
            [shown] = await _shown(tx, whole)
            return tx.answer(shown)

    async def _goes_on(self, tx: Transaction, whole: Import, status: ImportStatus) -> Import:
        return await IMPORTS.save(tx, replace(whole, status=status, changed_at=self.clock.now(),
                                              digest=None if status is ImportStatus.UNDONE else whole.digest))

    # --- Working on it ------------------------------------------------------------------------------------------------

    async def tend_imports(self) -> None:
        """Wait until there may be an import to work on, and do it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_EVERY):
                await self.to_import.wait()
        self.to_import.clear()
        await self.carry_out_imports()

    async def carry_out_imports(self) -> None:
        """Whatever is at work, from where it stopped. Any number of processes may do this at once, and any may be killed:
        what a row becomes is stored with its effect, and each takes the row that is next once it holds the import."""
        async with self.db.reading() as reading:
            at_work = await reading.all(tables.ALL_AT_WORK)
        for whole in at_work:
            step = {ImportStatus.CHECKING: self._check_some, ImportStatus.APPLYING: self._register_next,
                    ImportStatus.UNDOING: self._take_back_next}[whole.status]
            while await step(whole.id):
                pass

    async def _check_some(self, import_id: UUID) -> bool:
        async with self.db.reading() as reading:
            rows = await _next(reading, import_id, RowStatus.UNCHECKED, CHECKED_AT_ONCE)
            looked_at = [await self._looked_up(reading, row) for row in rows]
        with contextlib.suppress(StaleVersion):   # somebody else has checked them
            return await self.db.retry(self._checked, import_id, looked_at)
        return True

    async def _looked_up(self, reading: Reading, row: Row) -> LookedUp:
        """With its errors, and who may be the same person."""
        who, errors = sheets.understood(row.said or {}, today=self.today())
        asked = alike.known(who) if who else None
        found = alike.matches(asked, await people.candidates(reading, asked)) if asked else []
        return replace(row, errors=[*row.errors, *errors]), found, who

    async def _checked(self, import_id: UUID, looked_at: Sequence[LookedUp]) -> bool:
        async with self.db.transaction() as tx:
            whole = await _held(tx, import_id)
            if whole.status is not ImportStatus.CHECKING:
                return False
            for row, found, who in looked_at:
                key = sheets.person_key(who) if who else None
                await ROWS.save(tx, rules.checked(row, found, await _same_as(tx, row, key), key))
            if looked_at:
                return True
            await self._finish(tx, whole)
            return False

    async def _register_next(self, import_id: UUID) -> bool:
        try:
            return await self.db.retry(self._registered, import_id)
        except UniqueViolation as clash:
            if clash.on not in people.FIRST_NUMBER_TAKEN:
                raise
            return True

    async def _registered(self, import_id: UUID) -> bool:
        async with self.db.transaction() as tx:
            whole = await _held(tx, import_id)
            if whole.status is not ImportStatus.APPLYING:
                return False
            rows = await _next(tx, import_id, RowStatus.READY, 1)
            if not rows:
                await self._finish(tx, whole)
                return False
            row, found, who = await self._looked_up(tx, rows[0])   # once more: much may have come since it was checked
            if who is None or (found and not row.chosen):
                await ROWS.save(tx, rules.checked(row, found, row.same_as_line, row.person_key))
                return True
            patient = await self.entered(tx, _who(whole), new_id(), who)
            await ROWS.save(tx, replace(row, status=RowStatus.REGISTERED, patient_id=patient.id))
            return True

    async def _take_back_next(self, import_id: UUID) -> bool:
        async with self.db.reading() as reading:
            rows = await _next(reading, import_id, RowStatus.REGISTERED, 1)
        if not rows:
            return await self.db.retry(self._all_taken_back, import_id)
        patient_id = rows[0].patient_id
        assert patient_id is not None
        elsewhere = None
        if (await self.appointments.open_visits(ME, patient_id)).count:
            elsewhere = Kept.VISITS
        elif await self.identity.recipients(ME, patient_id=patient_id):
            elsewhere = Kept.ACCOUNT
        return await self.db.retry(self._taken_back, import_id, rows[0].id, patient_id, elsewhere)

    async def _all_taken_back(self, import_id: UUID) -> bool:
        async with self.db.transaction() as tx:
            whole = await _held(tx, import_id)
            if whole.status is ImportStatus.UNDOING and not await _next(tx, import_id, RowStatus.REGISTERED, 1):
                await self._finish(tx, whole)
        return False

    async def _taken_back(self, import_id: UUID, row_id: UUID, patient_id: UUID, elsewhere: Kept | None) -> bool:
        async with self.db.transaction() as tx:
            whole, row = await _held(tx, import_id), await ROWS.get(tx, row_id)
            if whole.status is not ImportStatus.UNDOING or row is None:
                return False
            if row.status is not RowStatus.REGISTERED:   # somebody else has seen to it
                return True
            patient = await people.held(tx, patient_id)   # what hangs on it, and its visits, wait from here
            assert patient is not None
            kept = elsewhere or await _use_of(tx, patient)
            if kept is None:
                await self.closed(tx, _who(whole), patient)
            await ROWS.save(tx, replace(row, status=RowStatus.KEPT if kept else RowStatus.TAKEN_BACK, kept=kept))
            return True

    async def opened_for_visit(self, tx: Transaction, patient_id: UUID) -> None:
        """A visit was booked in the very moment the record was taken back: it stays, since somebody comes. To be asked
        with the visit's doctor related, so that either this sees the record closed, or whoever closes it sees the visit."""
        patient = await people.held(tx, patient_id)
        row = await tx.one(tables.MADE, patient_id=patient_id)
        if patient is None or row is None or row.status is not RowStatus.TAKEN_BACK or patient.retired_at is None:
            return
        await self.reopened(tx, ME, patient)
        await ROWS.save(tx, replace(row, status=RowStatus.KEPT, kept=Kept.VISITS))

    async def _finish(self, tx: Transaction, whole: Import) -> None:
        done = await self._goes_on(tx, whole, rules.AFTER[whole.status])
        if done.status is not ImportStatus.CHECKED:
            await _audit_counts(tx, _who(whole), done)

    async def forget_imports(self) -> None:
        """What rows said, once nobody has worked on them for so long: names and birth dates that nobody needs here."""
        async with self.db.reading() as reading:
            old = await reading.all(tables.TO_FORGET, before=self.clock.now() - timedelta(days=self.limits.kept_days))
        for one in old:
            with contextlib.suppress(StaleVersion):   # somebody has gone on with it
                await self.db.retry(self._forget, one)

    async def _forget(self, whole: Import) -> None:
        async with self.db.transaction() as tx:
            await IMPORTS.save(tx, replace(whole, forgotten_at=self.clock.now(), digest=None))
            await tx.run(tables.FORGET, import_id=whole.id)
            tx.audit("import.forgotten", ME, entity=f"patient_import/{whole.id}")


async def _use_of(tx: Transaction, patient: Patient) -> Kept | None:
    """What has been done with a record since it was entered."""
    if patient.version != 1 or await tx.all(merging.HELD_BY, patient_id=patient.id):
        return Kept.CHANGED
    if await tx.one(tables.VISITED, patient_id=patient.id):
        return Kept.VISITS
    return Kept.ATTACHED if await tx.one(tables.ATTACHED, patient_id=patient.id) else None


async def _known(reading: Reading, import_id: UUID) -> Import:
    found = await IMPORTS.get(reading, import_id)
    if found is None:
        raise NotFound
    return found


async def _held(tx: Transaction, import_id: UUID) -> Import:
    found = await tx.one(tables.HELD, key=import_id)
    if found is None:
        raise NotFound
    return found


async def _next(reading: Reading, import_id: UUID, status: RowStatus, limit: int) -> list[Row]:
    return await reading.all(tables.NEXT, import_id=import_id, status=status, limit=limit)


async def _same_as(tx: Transaction, row: Row, key: str | None) -> int | None:
    """The earlier line about the same person."""
    return min(await tx.all(tables.SAME_PERSON, import_id=row.import_id, person_key=key, line=row.line), default=None)


async def _rows(reading: Reading, import_id: UUID, status: RowStatus | None, after: str | None, limit: int,
                ) -> tuple[list[Row], str | None]:
    within = {} if status is None else {"status": status}
    return await tables.row_pages(frozenset(within)).page(reading, after=after, limit=limit, import_id=import_id, **within)


async def _shown(reading: Reading, *found: Import) -> list[PatientImport]:
    counts: dict[UUID, dict[RowStatus, int]] = defaultdict(dict)
    for one in await reading.all(tables.COUNTS, ids=[one.id for one in found]) if found else ():
        counts[one.import_id][one.status] = one.number
    return [rules.shown(one, counts[one.id]) for one in found]


async def _audit_counts(tx: Transaction, caller: Caller, whole: Import) -> None:
    """How many, never who."""
    [shown] = await _shown(tx, whole)
    tx.audit(f"import.{whole.status}", caller, entity=f"patient_import/{whole.id}",
             counts=", ".join(f"{status} {count}" for status, count in sorted(shown.counts.items())))


def _by(caller: Caller) -> tuple[UUID, str, list[str]]:
    assert caller.account_id is not None
    return caller.account_id, caller.name, sorted(caller.roles)


def _who(whole: Import) -> Caller:
    return Caller(account_id=whole.by_account, name=whole.by_name, roles=frozenset(whole.by_roles))
