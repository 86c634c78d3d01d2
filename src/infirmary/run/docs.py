"""The API document as a page for people, in the same look as everything else."""
from __future__ import annotations

from typing import Any

from litestar import Response

from infirmary import __version__
from infirmary.kernel.access import ANYONE
from infirmary.kernel.contract import Contract
from infirmary.web.page import Page, Pages


def pages_of(contracts: list[type[Contract]]) -> Pages:
    pages = Pages()

    @pages.get("/api/docs")
    async def docs(page: Page) -> Response[Any]:
        return await page.render("api.html", contracts=contracts, version=__version__, anyone=ANYONE)

    return pages
