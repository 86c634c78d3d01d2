"""What the code knows of the services, for comparing it with the files that deploy them."""
from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import infirmary
from infirmary.kernel.contract import Contract
from infirmary.run.catalogue import CONTEXTS
from infirmary.run.service import WEB

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SOURCE = Path(infirmary.__file__).parent
NAMES = [context.name for context in CONTEXTS]
SERVICES = [*NAMES, WEB]
ALL = [*SERVICES, "gateway"]
IDENTITY = "identity"   # tells everybody who has been revoked, and answers for the whole system


def asked_by(name: str) -> set[str]:
    """The services that one calls: those whose contracts its code imports, and what every process asks."""
    if name == "gateway":
        return set(SERVICES)
    found = {IDENTITY}
    for file in (SOURCE / ("web" if name == WEB else f"contexts/{name}")).rglob("*.py"):
        if "node_modules" not in file.parts:
            found |= {module.split(".")[2] for module, names in _contracts(file)
                      if any(issubclass(one, Contract) for one in names)}
    return (set(NAMES) if name == IDENTITY else found) - {name}


def _contracts(file: Path) -> list[tuple[str, list[type]]]:
    """What it imports from contexts' contracts."""
    imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)
               and (node.module or "").startswith("infirmary.contexts.") and (node.module or "").endswith(".contract")]
    return [(node.module or "", [found for alias in node.names
                                 if isinstance(found := getattr(import_module(node.module or ""), alias.name), type)])
            for node in imports]
