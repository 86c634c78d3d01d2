"""Puts the pages together: templates with their filters, static files, and every module of pages."""
from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context as TemplateContext

from . import files
from .i18n import Language, language
from .page import Pages, Site
from .pages import PAGES

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache   # of a process: compiling them takes longer than most pages
def templates(zone: ZoneInfo) -> Environment:
    """Jinja with autoescape, undefined names refused, and the filters that know the hospital's zone and language."""
    made = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True, auto_reload=False, extensions=["jinja2.ext.do"])
    manifest: dict[str, str] = (msgspec.json.decode((STATIC / "manifest.json").read_bytes())
                                if (STATIC / "manifest.json").exists() else {})

    def local(value: datetime | date) -> datetime | date:
        return value.astimezone(zone) if isinstance(value, datetime) else value

    def as_date(value: datetime | date) -> date:
        value = local(value)
        return value.date() if isinstance(value, datetime) else value

    @pass_context
    def day(context: TemplateContext, value: datetime | date) -> str:
        return language(context["lang"]).day(as_date(value), context["today"])

    def written(words: Callable[[Language, date], str]) -> Any:
        @pass_context
        def said(context: TemplateContext, value: datetime | date) -> str:
            return words(language(context["lang"]), as_date(value))

        return said

    @pass_context
    def spoken(context: TemplateContext, code: str) -> str:
        return language(context["lang"]).named(code)

    @pass_context
    def clock(context: TemplateContext, value: datetime) -> str:
        moment = local(value)
        assert isinstance(moment, datetime)
        return language(context["lang"]).time(moment)

    @pass_context
    def moment(context: TemplateContext, value: datetime) -> str:
        return f"{day(context, value)}, {clock(context, value)}"

    @pass_context
    def age(context: TemplateContext, born: date) -> int:
        today: date = context["today"]
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))

    made.filters |= {"day": day, "date": written(Language.full_day), "monthday": written(Language.month_day),
                     "longday": written(Language.long_day), "time": clock, "datetime": moment, "age": age, "local": local,
                     "spoken": spoken}
    made.globals["static"] = lambda name: f"/static/{name}?v={manifest.get(name, '')}"
    return made


def handlers(site: Site, *more: Pages) -> list[Any]:
    """Every page, and the files they use."""
    return [files.handler(STATIC), *(handler for pages in (*PAGES, *more) for handler in pages.handlers(site))]
