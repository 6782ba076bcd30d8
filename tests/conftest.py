"""What holds for every test: one BLAS thread, as in the workers, a cache of its own, and signals that are heeded."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is first imported, which is later than here

for number in (signal.SIGINT, signal.SIGHUP):  # a shell's `&` and nohup ignore them, and so would every child
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

collect_ignore = ["golden", "faults"]  # their scripts need PyTorch, and a library that is loaded first


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache of datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRSWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def spec(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sweep file of a module, its TEXT, as small.yaml in the current folder; modules may have one of their own."""
    monkeypatch.chdir(tmp_path)
    path = Path("small.yaml")
    path.write_text(request.module.TEXT)
    return path
