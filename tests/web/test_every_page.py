"""No page is forgotten: whatever is declared is looked at by axe in a browser, or it is said why not."""
from __future__ import annotations

import re

import pytest

from infirmary.language import Role
from infirmary.web.pages import PAGES as MODULES
from infirmary.web.pages import mail
from tests.browser.every_page import NONE, PAGES

from .conftest import NoMails

DECLARED = {path: roles for pages in (*MODULES, mail.pages_of(NoMails())) for verb, path, roles in pages.paths if verb == "GET"}
LISTED = [(role, address.partition("?")[0]) for role, addresses in PAGES.items() for address in addresses]


def is_of(address: str, declared: str) -> bool:
    """Whether this address, with names for its ids, is of that page."""
    return re.fullmatch(re.sub(r"\\{\w+\\}", r"\\{\\w+\\}", re.escape(declared)), address) is not None


@pytest.mark.parametrize("page", sorted(DECLARED.keys() - NONE.keys()))
def test_every_page_is_looked_at_by_somebody_who_may_open_it(page: str) -> None:
    by = {role for role, address in LISTED if address == page or ("{" in page and is_of(address, page))}
    roles = DECLARED[page]
    assert by & ({"", *Role} if roles is None else set(roles)), f"{page} stands in no list of tests/browser/every_page.py"


def test_what_is_said_to_be_no_page_is_there_and_not_looked_at() -> None:
    assert NONE.keys() <= DECLARED.keys()
    assert not {address for _, address in LISTED} & NONE.keys()
