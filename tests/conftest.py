"""What holds for every test: one BLAS thread, as in the workers, a cache of its own, signals that are heeded, the same
surroundings and the same examples everywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is first imported, which is later than here

for number in (signal.SIGINT, signal.SIGHUP):  # a shell's `&` and nohup ignore them, and so would every child
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

# The same examples in every run, however slow the machine: who wants others has test_fuzz.py and its seeds.
settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

COLOURS = ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE")
FROM_OUTSIDE = ("LINES", "PYTHONUNBUFFERED", *COLOURS)
"""What changes how Rich, Typer and Python print."""

collect_ignore = ["golden", "faults"]  # their scripts need PyTorch, and a library that is loaded first


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache of datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def same_surroundings() -> Iterator[None]:
    """What is printed has 80 columns and no colours unless a test wants them, whatever terminal the tests run in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        for name in FROM_OUTSIDE:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def spec(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sweep file of a module, its TEXT, as small.yaml in the current folder; modules may have one of their own."""
    monkeypatch.chdir(tmp_path)
    path = Path("small.yaml")
    path.write_text(request.module.TEXT)
    return path
