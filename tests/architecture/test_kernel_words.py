"""The kernel is generic: no word of the hospital occurs in it."""
from __future__ import annotations

import re
from pathlib import Path

import infirmary.kernel

KERNEL = Path(infirmary.kernel.__file__).parent
WORDS = frozenset([
    "admission", "appointment", "bed", "billing", "cashier", "clinic", "clinical", "clinician", "consultation",
    "department", "desk", "diagnosis", "dispense", "doctor", "drug", "encounter", "hospital", "invoice",
    "medical", "medicine", "nurse", "patient", "pharmacist", "pharmacy", "physician", "prescription",
    "reception", "receptionist", "surgery", "treat", "treating", "treatment", "visit", "vital", "ward"])
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def hospital_words(text: str) -> set[str]:
    """Also inside names: `DoctorIsBusy`, `patient_id`, `wards`. Not `forward`, and not what only looks like one."""
    parts = {part.lower() for part in _PART.findall(text)}
    return {part for part in parts if {part, part.removesuffix("s"), part.removesuffix("es")} & WORDS}


def faults_of(folder: Path) -> list[str]:
    return [f"{file.relative_to(folder)}:{number}: {', '.join(sorted(found))}"
            for file in sorted(folder.rglob("*.py")) for number, line in enumerate(file.read_text().splitlines(), 1)
            if (found := hospital_words(line))]


def test_the_kernel_knows_no_hospital() -> None:
    assert not faults_of(KERNEL), "say it without the hospital's words, or move it out of the kernel"


def test_a_word_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("forward = 1\nclass DoctorIsBusy: ...\n# the wards\npatient_id = None\n")
    assert faults_of(tmp_path) == ["planted.py:2: doctor", "planted.py:3: wards", "planted.py:4: patient"]
