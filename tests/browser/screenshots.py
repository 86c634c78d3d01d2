"""Takes the README's pictures from a demo hospital: `python -m tests.browser.screenshots docs/screenshots`."""
from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .conftest import DESKTOP, PHONE, Visitor, chromium, demo_hospital

SHOTS = [("patient", PHONE, "light", "/book/when", "book-when"), ("doctor", DESKTOP, "light", "/doctor/today", "doctor-today"),
         ("admin", DESKTOP, "dark", "/admin", "admin"), ("reception", DESKTOP, "light", "/desk?q=rosa", "desk")]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, demo_hospital(Path(made) / "data") as base, chromium() as browser:
        for who, viewport, scheme, path, name in SHOTS:
            context = browser.new_context(viewport=viewport, color_scheme=scheme, locale="en-GB")   # type: ignore[arg-type]
            visitor = Visitor(context, base)
            visitor.sign_in(f"{who}@demo.test")
            if path == "/book/when":
                visitor.open("/book?q=Okafor").get_by_role("link", name="Okafor").first.click()
            else:
                visitor.open(path)
            visitor.page.wait_for_timeout(800)
            file = folder / f"{name}-{viewport['width']}-{scheme}.png"
            visitor.page.screenshot(path=file)
            print(file)
            context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
