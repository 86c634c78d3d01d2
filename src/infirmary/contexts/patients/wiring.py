"""How the register plugs into a process."""
from __future__ import annotations

from infirmary.kernel.context import Context

from .contract import Patients
from .reactions import reactions
from .service import PatientsService
from .tables import MIGRATIONS, metadata

PATIENTS = Context(contract=Patients, metadata=metadata, migrations=MIGRATIONS, service=PatientsService,
                   reactions=reactions)
