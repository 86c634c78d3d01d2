"""Where a form may lead afterwards."""
from __future__ import annotations

import pytest

from infirmary.web.forms import own


@pytest.mark.parametrize("address", ["/desk", "/desk?patient=1#ask", "/a/b?c=d&e=f"])
def test_our_own_addresses_are_followed(address: str) -> None:
    assert own(address) == address


@pytest.mark.parametrize("address", ["", "desk", "//evil.test", "/\\evil.test", "https://evil.test", "/\t/evil.test",
                                     "/\n/x", "javascript:alert(1)", "/a b", "/desk\\..\\x"])
def test_nobody_elses_are(address: str) -> None:
    assert own(address) == ""
