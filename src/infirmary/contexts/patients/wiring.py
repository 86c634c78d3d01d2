"""How the register plugs into a process."""
from __future__ import annotations

from datetime import timedelta

from infirmary.kernel.context import Context, Job

from .contract import Patients
from .reactions import reactions
from .service import PatientsService
from .tables import MIGRATIONS, metadata

PATIENTS = Context(contract=Patients, metadata=metadata, migrations=MIGRATIONS, service=PatientsService,
                   reactions=reactions,
                   jobs=lambda service: [Job("end-guardianships", timedelta(minutes=10), service.end_those_over),
                                         Job("tend-imports", timedelta(0), service.tend_imports),
                                         Job("forget-imports", timedelta(hours=1), service.forget_imports)])
