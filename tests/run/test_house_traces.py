"""A process is traced from the opening of its house until it closes, under the name of what lives there."""
from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from infirmary.kernel import tracing
from infirmary.kernel.http import build_app
from infirmary.kernel.settings import SettingsRefused
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.house import House
from infirmary.settings import Services, Settings, load
from tests.collector import collecting
from tests.serving import serving


@pytest.mark.parametrize(("registry", "contexts", "name"), [
    ("", CONTEXTS, "infirmary-hospital"),
    ("static://patients=http://127.0.0.1:9", [one for one in CONTEXTS if one.name == "identity"], "infirmary-identity")])
async def test_a_house_that_names_a_collector_is_traced_until_it_closes(
        tmp_path: Path, registry: str, contexts: list[object], name: str) -> None:
    before = House(Settings(data=str(tmp_path)), contexts=contexts)   # services do not make their tables
    await before.open()
    await before.close()
    async with collecting() as collector:
        settings = Settings(data=str(tmp_path), services=Services(traces=collector.url, trace_share=1, registry=registry))
        house = House(settings, contexts=contexts)
        await house.open()
        async with serving(build_app(house.api())) as base, aiohttp.ClientSession() as http, \
                http.get(f"{base}/.well-known/jwks.json") as reply:
            assert reply.status == 200
        await house.close()
    assert not tracing.on()
    span = collector.the("server", "identity.jwks")
    assert span.service == name and not span.failed


@pytest.mark.parametrize("wrong", ["traces = 'collector:4318'", "traces = 'http://user:word@collector:4318'",
                                   "trace_share = 2"])
def test_a_collector_that_cannot_be_reached_so_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "settings.toml").write_text(f"[services]\n{wrong}\n")
    with pytest.raises(SettingsRefused):
        load(tmp_path / "settings.toml")
