"""Published passwords, in a file that the operator supplies."""
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from infirmary.contexts.identity.contract import ChangePassword, NewPassword, WeakPassword
from infirmary.contexts.identity.service.breached import Breached
from infirmary.kernel.access import NOBODY

from .builders import PASSWORD, Door

PUBLISHED = [f"published password {n}" for n in range(200)]


def a_list(folder: Path, passwords: list[str] = PUBLISHED, *, ends: str = "\r\n", counted: bool = True) -> Path:
    digests = sorted(hashlib.sha1(one.encode()).hexdigest().upper() for one in passwords)
    file = folder / "published.txt"
    file.write_bytes("".join(f"{one}:{7 ** (at % 9)}{ends}" if counted else f"{one}{ends}"
                             for at, one in enumerate(digests)).encode())
    return file


@pytest.mark.parametrize(("ends", "counted"), [("\r\n", True), ("\n", True), ("\n", False)])
@pytest.mark.parametrize("many", [1, 2, 3, 200])
def test_each_that_is_listed_is_found_and_no_other(tmp_path: Path, many: int, ends: str, *, counted: bool) -> None:
    listed = Breached(a_list(tmp_path, PUBLISHED[:many], ends=ends, counted=counted))
    assert all(listed._holds(one) for one in PUBLISHED[:many])
    assert not any(listed._holds(f"{one}!") for one in PUBLISHED)


@pytest.mark.parametrize("content", ["password\n", "da39a3ee5e6b4b0d3255bfef95601890afd80709:1\n", "\n", ""])
def test_a_file_of_another_kind_is_refused_at_the_start(tmp_path: Path, content: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(content)
    with pytest.raises(ValueError, match="no list of SHA-1 digests"):
        Breached(file)


async def test_nobody_chooses_a_published_password(door: Door, tmp_path: Path) -> None:
    await door.registers()
    door.service.breached = Breached(a_list(tmp_path, ["cafe\u0301 au lait chaud", *PUBLISHED, "caf\u00e9 au lait chaud"]))
    caller, link = await door.caller(await door.signs_in()), await door.gets_a_link()
    for refused in (door.registers("bo@example.test", password=PUBLISHED[0]),
                    door.opens("cy@example.test", password=PUBLISHED[1]),
                    door.ask.change_password(caller, ChangePassword(PASSWORD, PUBLISHED[2])),
                    door.ask.reset_password(NOBODY, NewPassword(link, "cafe\u0301 au lait chaud"))):
        with pytest.raises(WeakPassword, match="published in a breach"):
            await refused
    assert await door.signs_in()


def test_the_built_in_rules_stay_without_a_list() -> None:
    assert not Breached(None)._holds("anything")
