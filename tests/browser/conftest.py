"""A demo hospital as its own process, and real Chromium. What the console says is collected: it must say nothing."""
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.hospital import free_port, zone_at
from tests.provider import real
from tests.provider.lying import a_secret_in

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-quic", "--no-first-run", "--use-fake-device-for-media-stream",
             "--use-fake-ui-for-media-stream"]   # a camera that shows a test picture, and is never asked for
AXE = Path(__file__).parents[2] / "build" / "axe.min.js"
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
TOO_WIDE = """[...document.querySelectorAll('.card, .in-table-cards')].filter(one => one.scrollWidth > one.clientWidth + 1
    || one.offsetWidth > one.parentElement.clientWidth + 1).map(one => `${one.tagName} ${one.className}: ${
    one.textContent.trim().replace(/\\s+/g, ' ').slice(0, 60)}`)"""
PASSWORD = "infirmary-demo-1"
MORNING = 10   # o'clock: some have been seen, some wait, and there is time left today
PROVIDER_PORT = free_port()   # of the provider of OpenID Connect: there while a test runs one
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@contextlib.contextmanager
def demo_hospital(folder: Path, **more: str) -> Iterator[str]:
    """`infirmary demo`, as an operator starts it, with these settings, where it is morning; yields its address."""
    port = free_port()
    environment = {**os.environ, "INFIRMARY_LOG_LEVEL": "warning", "INFIRMARY_HOSPITAL__ZONE": zone_at(MORNING), **more}
    process = subprocess.Popen([sys.executable, "-m", "infirmary", "demo", "--port", str(port), "--data", str(folder)],
                               env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    base = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 240
        while True:
            try:
                urllib.request.urlopen(base + "/health/ready", timeout=2).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError("the demo hospital did not open") from None
                time.sleep(.1)
        yield base
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    if running := os.environ.get("HOSPITAL_AT"):   # a demo hospital that is up already, in whatever shape
        yield running
        return
    secret = a_secret_in(tmp_path_factory.mktemp("secret"))
    with demo_hospital(tmp_path_factory.mktemp("demo") / "data", **real.environment(PROVIDER_PORT, secret)) as address:
        yield address


@pytest.fixture(scope="package")
def browser(base: str) -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


class Visitor:
    """Somebody at a browser."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base, self.context = base, context
        self.page: Page = context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}")
                     if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def sign_in(self, email: str, password: str = PASSWORD) -> Page:
        self.open("/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)
        return self.page

    def day_ahead(self, days: int) -> date:
        """From today on, where the hospital is; for a doctor, whose diary says so."""
        today = str(self.open("/doctor/diary").locator("[data-diary]").get_attribute("data-date"))
        return date.fromisoformat(today) + timedelta(days=days)

    def axe(self, *rules: str, colours: bool = True) -> list[str]:
        """What axe finds: A, AA, 2.2 and best practice; or by these rules alone. To judge colours takes it longest."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("([rules, on]) => axe.run(document, {runOnly: rules, rules: {'color-contrast': {enabled: on}}})",
                                   [list(rules or AXE_TAGS), colours])
        return [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes'][:3]]}" for one in found["violations"]]

    def found_in_both_schemes(self) -> list[str]:
        """Of all that axe looks at, dark changes colours alone. And nothing may be wider than the screen."""
        self.page.emulate_media(color_scheme="light")
        found = [f"light: {one}" for one in self.axe()]
        self.page.emulate_media(color_scheme="dark")
        found += [f"dark: {one}" for one in self.axe("color-contrast")]
        if (wide := self.page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            found.append(f"{wide} px too wide")
        found += [f"wider than what holds it: {one}" for one in self.page.evaluate(TOO_WIDE)]
        return [f"{self.page.url} {self.page.viewport_size}: {one}" for one in found]


@pytest.fixture
def visit(browser: Browser, base: str) -> Iterator[Callable[..., Visitor]]:
    """Open a browser of one's own: `visit(PHONE, scheme="dark")`. At the end, every console must have been silent."""
    opened: list[Visitor] = []

    def come(viewport: dict[str, int] = DESKTOP, *, scheme: str = "light", javascript: bool = True) -> Visitor:
        context = browser.new_context(viewport=viewport, color_scheme=scheme, java_script_enabled=javascript,   # type: ignore[arg-type]
                                      has_touch=viewport is PHONE, reduced_motion="reduce", locale="en-GB")
        context.set_default_timeout(10_000)
        opened.append(Visitor(context, base))
        return opened[-1]

    yield come
    for visitor in opened:
        visitor.context.close()
    assert [said for visitor in opened for said in visitor.said] == []
