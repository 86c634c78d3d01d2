"""`infirmary config`, as an operator uses it, against a real etcd and the files that this repository keeps."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

import pytest
import yaml
from click.testing import CliRunner, Result

from infirmary.kernel.live_config import merged
from infirmary.live import LiveConfig
from infirmary.run.config import SERVICES, config
from tests.etcd import LACKING, Etcd

KEPT = Path(__file__).parents[2] / "deploy" / "config"
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    if LACKING:
        pytest.skip(LACKING)
    with Etcd(tmp_path_factory.mktemp("etcd")) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The repository's files, and an environment of its own for each test."""
    copied = copytree(KEPT, tmp_path / "config")
    copytree(copied / "production", copied / tmp_path.name)
    return copied


@pytest.fixture
def command(etcd: Etcd, folder: Path, tmp_path: Path) -> Command:
    def run(name: str, *args: str, store: str = etcd.url) -> Result:
        more = ("--folder", str(folder)) if name == "push" else ()
        return CliRunner().invoke(config, [name, *args, *more, "--environment", tmp_path.name, "--store", store])
    return run


@pytest.mark.parametrize("environment", sorted(one.name for one in KEPT.iterdir() if one.is_dir()))
def test_the_files_that_git_keeps_are_right(environment: str) -> None:
    assert merged(KEPT, environment, LiveConfig, SERVICES)


def test_a_push_is_listed_shown_and_compared(command: Command, folder: Path, tmp_path: Path) -> None:
    assert command("history").output == f"Nothing has been pushed for {tmp_path.name}.\n"
    first = command("push", "--author", "anna", "--note", "the beginning")
    assert (first.exit_code, first.output) == (0, "Version 1 is there, and the services take it up now.\n")
    assert command("push").output == "Nothing has changed: version 1 stays.\n"

    (folder / tmp_path.name / "appointments.yaml").write_text("booking: {most_open_visits: 7}\n")
    second = command("push", "--author", "bo")
    assert second.exit_code == 0
    assert second.output.splitlines()[1:] == ["  -appointments.booking.most_open_visits: 20",
                                              "  +appointments.booking.most_open_visits: 7"]
    newest, oldest = command("history").output.splitlines()
    assert ("2" in newest and "bo" in newest) and ("1" in oldest and "anna" in oldest and "the beginning" in oldest)
    assert command("diff", "1").output == command("diff", "1", "2").output
    assert "+appointments.booking.most_open_visits: 7" in command("diff", "1").output
    assert command("diff", "2", "2").output == "They are the same.\n"

    shown = yaml.safe_load(command("show", "appointments").output)
    assert shown["booking"]["most_open_visits"] == 7
    assert yaml.safe_load(command("show", "appointments", "--version", "1").output)["booking"]["most_open_visits"] == 20
    assert yaml.safe_load(command("show").output)["booking"]["most_open_visits"] == 20


def test_a_rollback_is_a_new_version(command: Command, folder: Path, tmp_path: Path) -> None:
    command("push")
    (folder / tmp_path.name / "common.yaml").write_text("log_level: debug\n")
    command("push")
    back = command("rollback", "1", "--author", "cy")
    assert back.exit_code == 0
    assert back.output.startswith("Version 3 is there")
    assert '  -common.log_level: "debug"' in back.output.splitlines()
    assert "back to version 1" in command("history").output.splitlines()[0]
    missing = command("rollback", "9")
    assert (missing.exit_code, "There is no version 9" in missing.output) == (1, True)


def test_files_that_are_wrong_are_refused_with_every_fault(command: Command, folder: Path, tmp_path: Path) -> None:
    (folder / tmp_path.name / "staff.yaml").write_text("gateway: {brust: 3}\n")
    (folder / tmp_path.name / "reports.yaml").write_text("db_password: hunter2\n")
    refused = command("push")
    assert refused.exit_code == 1
    assert "staff.yaml: gateway.brust: no such key is known" in refused.output
    assert "reports.yaml: db_password: by its name this is a secret" in refused.output
    assert "hunter2" not in refused.output
    assert command("history").output.startswith("Nothing has been pushed")
    assert (command("show").exit_code, command("diff", "1").exit_code) == (1, 1)


def test_an_etcd_that_is_away_or_none_at_all_is_told(command: Command, folder: Path) -> None:
    away = command("push", store="etcd://127.0.0.1:1")   # nobody listens there
    assert (away.exit_code, "etcd does not answer" in away.output) == (1, True)
    no_port = command("history", store="etcd://127.0.0.1")
    assert (no_port.exit_code, "etcd://host:port" in no_port.output) == (1, True)
    a_folder = command("history", store=str(folder))
    assert (a_folder.exit_code, "its history is Git's" in a_folder.output) == (2, True)


def test_the_settings_of_the_services_say_where_and_for_whom(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFIRMARY_SERVICES__CONFIG", etcd.url)
    monkeypatch.setenv("INFIRMARY_ENVIRONMENT", "elsewhere")
    assert CliRunner().invoke(config, ["history"]).output == "Nothing has been pushed for elsewhere.\n"
