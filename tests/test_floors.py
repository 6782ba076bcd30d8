"""The house's floors hold: a module imports only from the floors below, and third parties have their places."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lrsweep"

FLOORS = [
    {"vocabulary", "worker", "signals"},
    {"room"},
    {"engine", "datasets"},
    {"yaml_reader", "analysis", "store"},
    {"spec", "execute", "report", "early"},
    {"plan"},
    {"provenance", "result"},
    {"search"},
    {"sweep", "coordcheck", "catalogue", "live", "following"},
    {"ending", "finding"},
    {"cli"},
    {"__main__", "__init__"},
]
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}

PLACES = {
    "yaml": {"yaml_reader"},
    "pydantic": {"spec"},
    "typer": {"ending", "cli"},
    "rich": {"report", "cli"},
    "plotly": {"report"},
    "sklearn": {"datasets"},
    "sqlite3": {"store"},
    "dask": {"execute"},
    "distributed": {"execute"},
    "pandas": {"store", "analysis", "report", "datasets", "result", "finding"},  # the last two only types
    "pyarrow": {"datasets"},
    "multiprocessing": {"execute", "worker"},
}
INSIDE_FUNCTIONS = {
    *(("plotly", "report"), ("dask", "execute"), ("distributed", "execute"), ("pandas", "store")),
    *(("sklearn", "datasets"), ("pandas", "datasets"), ("pandas", "result"), ("pandas", "finding")),
    ("pyarrow", "datasets"),
}
"""What costs so much to import that only the function that needs it does."""

FILES = sorted(PACKAGE.rglob("*.py"))


def house(path: Path) -> str:
    """The module of the house that a file belongs to: `lrsweep/engine/model.py` is part of `engine`."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, each with whether that happens at import time (types apart)."""
    tree = ast.parse(path.read_text())
    later = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            names = [f"lrsweep.{alias.name}" for alias in node.names] if module == "lrsweep" else [module]
            yield from ((name, node not in later) for name in names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node not in later) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "lrsweep" or len(parts) == 1 or parts[1] not in FLOOR or parts[1] == house(path):
            continue
        assert FLOOR[parts[1]] < FLOOR[house(path)], f"{house(path)} must not import {name}"


def test_every_module_has_a_floor() -> None:
    assert {house(path) for path in FILES} == set(FLOOR)


def test_the_readme_shows_the_floors() -> None:
    developers = (PACKAGE.parent / "README.md").read_text().partition("## For developers")[2]
    shown = [{*re.findall("`(.*?)`", row)} for row in re.findall(r"^\| (`.*?) \|", developers, re.MULTILINE)]
    assert shown == [floor - {"__init__"} for floor in reversed(FLOORS)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_third_parties_stay_in_their_places(path: Path) -> None:
    for name, at_import in imports(path):
        library = name.split(".")[0]
        if library in PLACES:
            assert house(path) in PLACES[library], f"{library} does not belong into {house(path)}"
            inside = (library, house(path)) in INSIDE_FUNCTIONS
            assert not (inside and at_import), f"{house(path)} must import {library} inside the function that needs it"


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after running some code."""
    listing = f"{code}\nimport sys\nprint(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in told.stdout.split()}


@pytest.mark.parametrize("module", ["lrsweep", "lrsweep.vocabulary", "lrsweep.execute"])
def test_a_worker_does_not_pull_in_the_world(module: str) -> None:
    world = {"pandas", "sklearn", "scipy", "pydantic", "typer", "rich", "yaml", "sqlite3"}
    assert not loaded_by(f"import {module}") & world


def test_help_is_light() -> None:
    assert not loaded_by("import lrsweep.cli") & {"numpy", "pandas", "sklearn", "scipy", "pydantic", "yaml", "sqlite3"}
