"""compose.yaml starts every service of the catalogue, opens one door, and holds no secret."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from infirmary.kernel import kafka, settings
from infirmary.kernel.database import migrate
from infirmary.kernel.database.db import Database
from infirmary.kernel.outbox import FORGET_PUBLISHED
from infirmary.run import service
from infirmary.run.catalogue import CONTEXTS
from infirmary.settings import Settings
from tests import servers
from tests.house import MONDAY

from .catalogue import ALL, DEPLOY, NAMES, SERVICES

FILE = DEPLOY / "compose.yaml"
ENVIRON = {"PUBLIC_URL": "https://hospital.example.org", "SMTP_HOST": "smtp.example.org"}
OTHERS = {"postgres", "kafka", "etcd", "migrate", "configure"}
JOBS = {"migrate", "configure"}


def substituted(text: str) -> str:
    """As compose does it: ${NAME}, ${NAME:-default}, ${NAME:?why}, ${NAME:+instead}; $$ is one $."""
    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, how, word = found[1], found[2], found[3]
        if how == ":?":
            return ENVIRON[name]
        return (word if name in ENVIRON else "") if how == ":+" else ENVIRON.get(name, word or "")
    return re.sub(r"\$\$|\$\{(\w+)(?:(:[-?+])([^}]*))?\}", value, text)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    def filled(value: Any) -> Any:
        match value:
            case str():
                return substituted(value)
            case dict():
                return {name: filled(one) for name, one in value.items()}
            case list():
                return [filled(one) for one in value]
        return value
    made: dict[str, Any] = filled(yaml.safe_load(FILE.read_text()))
    return made


def seconds(span: str) -> int:
    return int(span.removesuffix("s"))


def test_it_is_what_the_compose_specification_describes() -> None:
    validating = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    schemas = resources.files("check_jsonschema") / "builtin_schemas/vendor"
    validating.validate(yaml.safe_load(FILE.read_text()), json.loads((schemas / "compose-spec.json").read_text()))


def test_every_service_of_the_catalogue_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*ALL, *OTHERS}
    for name in SERVICES:
        one = compose["services"][name]
        assert one["command"] == [name] and 'infirmary serve "$0"' in one["entrypoint"][-1]
    assert compose["services"]["gateway"]["command"][0] == "gateway"


def test_only_the_gateway_can_be_reached_from_outside(compose: dict[str, Any]) -> None:
    assert [name for name, one in compose["services"].items() if one.get("ports")] == ["gateway"]
    assert not [name for name, one in compose["services"].items() if one.get("network_mode") or one.get("privileged")]
    assert compose["networks"]["inside"]["internal"] is True
    beyond = {name for name, one in compose["services"].items() if one["networks"] != ["inside"]}
    assert beyond == {"gateway", "notifications"}, "nobody else has business outside"


def test_it_holds_no_secret(compose: dict[str, Any]) -> None:
    for name, one in compose["services"].items():
        for key, value in one.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", key):
                assert value == "" or str(value).startswith("/run/secrets/"), (name, key)
            assert not re.search(r"://[^/@]*:[^/@]+@", str(value)), (name, key)
    assert all(set(one) == {"file"} for one in compose["secrets"].values())
    ignored = (DEPLOY / "secrets/.gitignore").read_text()
    assert "\n*\n" in ignored, "what secrets.sh makes would be committed"


def test_each_service_is_given_only_its_own_secrets(compose: dict[str, Any]) -> None:
    given = {name: set(one.get("secrets", [])) for name, one in compose["services"].items() if one.get("secrets")}
    databases = {"database_owner", *(f"database_{name}" for name in NAMES)}
    assert given == {
        **{name: {"installation_secret", f"database_{name}"} for name in NAMES},
        "notifications": {"installation_secret", "database_notifications", "smtp_password"},
        "web": {"installation_secret"}, "gateway": {"certificate", "certificate_key"},
        "migrate": {"database_owner"}, "postgres": {"postgres_password", *databases}}
    assert [name for name, one in compose["services"].items() if "keys:/data/keys" in one.get("volumes", [])] == ["identity"]


def test_every_process_can_read_its_settings(compose: dict[str, Any]) -> None:
    for name in (*ALL, *JOBS):
        given = {key: str(value) for key, value in compose["services"][name]["environment"].items()}
        made = settings.load(Settings, prefix="INFIRMARY", environ=given)
        assert made.production and made.weaknesses() == [], name
        assert made.is_internal("172.30.0.5") and not made.is_internal("172.31.0.5")


def test_a_service_starts_with_its_own_password_and_an_address_others_can_reach(
        compose: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "database_staff").write_text("abc")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "hostname").write_text("#!/bin/sh\necho 10.9.0.4 172.30.0.7\n")
    (programs / "infirmary").write_text('#!/bin/sh\necho "$@"; env | grep ^INFIRMARY_ | sort\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    for name, database in (("staff", "INFIRMARY_DATABASE=postgresql://{context}:abc@postgres/{context}\n"), ("web", "")):
        shell, flags, script = compose["services"][name]["entrypoint"]
        done = subprocess.run([shell, flags, script.replace("/run/secrets", str(tmp_path)), name], capture_output=True,
                              text=True, check=True, env={"PATH": f"{programs}:{os.environ['PATH']}"})
        assert done.stdout == (f"serve {name} --host 0.0.0.0 --port 8000\n"
                               f"{database}INFIRMARY_SERVICES__ADVERTISE=http://172.30.0.7:8000\n")


def test_containers_have_no_more_rights_than_they_need(compose: dict[str, Any]) -> None:
    for name in (*ALL, *JOBS):
        one = compose["services"][name]
        assert one["read_only"] is True and one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name


def test_nobody_starts_before_what_it_needs_and_all_say_whether_they_are_well(compose: dict[str, Any]) -> None:
    for name in SERVICES:
        assert compose["services"][name]["depends_on"] == {
            "kafka": {"condition": "service_healthy"}, "etcd": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"}}
    for name, one in compose["services"].items():
        for needed, how in one.get("depends_on", {}).items():
            assert how["condition"] == ("service_completed_successfully" if needed in JOBS else "service_healthy"), name
            checked = "dockerfile" in compose["services"][needed].get("build", {}) or "healthcheck" in compose["services"][needed]
            assert needed in JOBS or checked, f"{needed} never says that it is healthy"


def test_a_service_may_finish_what_it_has_in_hand(compose: dict[str, Any]) -> None:
    for name in SERVICES:
        assert seconds(compose["services"][name]["stop_grace_period"]) > (
            service.LET_GO + service.LAST_ANSWERS + kafka.CLOSING), name


@pytest.mark.skipif(servers.unavailable("postgresql") is not None, reason=str(servers.unavailable("postgresql")))
async def test_a_service_has_the_rows_of_its_own_database_and_nothing_else(tmp_path: Path) -> None:
    server, services, owner = servers.postgres(), ["staff", "reports"], "owner_of_all"
    for name in ("owner", *services):
        (tmp_path / f"database_{name}").write_text("it's-" + name)
    mother = await asyncpg.connect(server.url("postgres"))
    try:
        subprocess.run(["/bin/sh", str(DEPLOY / "postgres/databases.sh")], check=True, capture_output=True, env={
            "PATH": os.environ["PATH"], "SECRETS": str(tmp_path), "OWNER": owner, "POSTGRES_USER": "infirmary",
            "PGHOST": "127.0.0.1", "PGPORT": str(server.port)})
        for context in (one for one in CONTEXTS if one.name in services):
            url = server.url(context.name)
            await migrate.upgrade(url.replace("infirmary@", f"{owner}@"), context.migrations)
            own = url.replace("infirmary@", f"{context.name}@")
            assert await migrate.pending(own, context.migrations) == [], "it sees what the owner has done"
            db = await Database.open(own, context.name)
            async with db.transaction() as tx:
                await tx.run(FORGET_PUBLISHED, before=MONDAY)
            await db.close()
            connection = await asyncpg.connect(own)
            for forbidden in ("CREATE TABLE mine (id int)", "DROP TABLE outbox", "TRUNCATE outbox", "ALTER TABLE outbox ADD mine int"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(forbidden)
            await connection.close()
            for other in {*services} - {context.name}:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await asyncpg.connect(server.url(other).replace("infirmary@", f"{context.name}@"))
    finally:
        for name in services:
            await mother.execute(f"DROP DATABASE IF EXISTS {name}")
        for name in (*services, owner):
            await mother.execute(f"DROP ROLE IF EXISTS {name}")
        await mother.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_all_secrets_can_be_made_and_are_made_once(compose: dict[str, Any], tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "secrets.sh", tmp_path)
    make = ["/bin/sh", str(tmp_path / "secrets.sh"), "hospital.example.org"]
    subprocess.run(make, check=True)
    made = {file.name: file.read_bytes() for file in (tmp_path / "secrets").iterdir()}
    assert {Path(one["file"]).name for one in compose["secrets"].values()} <= set(made)
    passwords = [made[f"database_{name}"] for name in NAMES]
    assert len(set(passwords)) == len(NAMES) and all(re.fullmatch(rb"[0-9a-f]{48}", one) for one in passwords)
    assert len(made["installation_secret"]) == 32
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    subprocess.run(make, check=True)
    assert {file.name: file.read_bytes() for file in (tmp_path / "secrets").iterdir()} == made
