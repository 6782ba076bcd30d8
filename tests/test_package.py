"""What is shipped: a wheel that starts without the extras."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

BARE = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"plotly", "dask", "distributed", "pyarrow", "pytest", "hypothesis"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import lrsweep.cli
print(lrsweep.cli.__file__)
lrsweep.cli.app(sys.argv[1:])
"""
"""Runs the command line where nothing but the core dependencies can be imported."""

MISSING = (
    "lrsweep: --html draws with Plotly, which is not installed; "
    "pip install 'lrsweep[plots]', or '.[plots]' in a clone\n"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [packed] = folder.glob("*.whl")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert {path.name.split("-")[0] for path in wheel.iterdir()} == {"lrsweep"}
    assert (wheel / "lrsweep" / "py.typed").exists()
    found = [path.relative_to(ROOT) for path in (ROOT / "lrsweep").rglob("*.*")]
    files = [path for path in found if path.parent.name != "__pycache__"]  # where others may be writing
    assert [str(path) for path in files if not (wheel / path).exists()] == []


def bare(wheel: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The wheel's command line, without the extras."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(wheel)!r})\n{BARE}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list", "optimizers"]])
def test_the_wheel_starts_without_the_extras(wheel: Path, arguments: list[str], tmp_path: Path) -> None:
    done = bare(wheel, tmp_path, *arguments)
    assert done.returncode == 0
    assert done.stdout.startswith(str(wheel))
    assert len(done.stdout.splitlines()) > 5


def test_the_wheel_without_the_extras_names_the_one_that_the_page_needs(wheel: Path, tmp_path: Path) -> None:
    done = bare(wheel, tmp_path, "report", "--html")
    assert (done.returncode, done.stderr) == (2, MISSING)
