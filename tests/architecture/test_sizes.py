"""Files stay readable: one that outgrows 400 lines becomes a folder of the same name."""
from __future__ import annotations

from pathlib import Path

import infirmary

SOURCE = Path(infirmary.__file__).parent
LONGEST = 400   # lines


def too_long(folder: Path) -> list[str]:
    sizes = {file: len(file.read_text().splitlines()) for file in sorted(folder.rglob("*.py"))
             if "node_modules" not in file.parts}
    return [f"{file.relative_to(folder)} has {lines} lines" for file, lines in sizes.items() if lines > LONGEST]


def test_no_file_is_longer_than_400_lines() -> None:
    assert not too_long(SOURCE), "make it a folder of the same name"


def test_a_longer_one_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * 401)
    (tmp_path / "short.py").write_text("x = 1\n" * 400)
    assert too_long(tmp_path) == ["long.py has 401 lines"]
