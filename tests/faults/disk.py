"""A disk that fails as it is told, for commands of lrsweep that run on it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class How(IntEnum):
    """What becomes of an operation, as in shim.c."""

    NOTHING, FAIL_ONCE, FAIL_ON, SHORT_ONCE, SHORT_ON, KILL_BEFORE, KILL_HALF, KILL_AFTER = range(8)


@dataclass(frozen=True)
class Fault:
    """A way in which an operation ends, and with which error; `lasts` until the command ends."""

    how: How
    error: int = 0

    @property
    def kills(self) -> bool:
        """Whether the process is killed there."""
        return self.how >= How.KILL_BEFORE


FAULTS = {
    "full": Fault(How.SHORT_ON, errno.ENOSPC),
    "full for a moment": Fault(How.SHORT_ONCE, errno.ENOSPC),
    "quota": Fault(How.FAIL_ON, errno.EDQUOT),
    "error": Fault(How.FAIL_ONCE, errno.EIO),
    "broken": Fault(How.FAIL_ON, errno.EIO),
    "read-only": Fault(How.FAIL_ON, errno.EROFS),
    "killed before": Fault(How.KILL_BEFORE),
    "killed inside": Fault(How.KILL_HALF),
    "killed after": Fault(How.KILL_AFTER),
}
"""Every way that is tried. A full disk takes half of the bytes before it says so."""

SOUND = Fault(How.NOTHING)


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: the signal), what it printed, what it had stored, and how many
    operations it did; `name` is that which failed."""

    code: int
    out: str
    err: str
    stored: list[str]
    count: int
    name: str


def compiled(folder: Path) -> Path:
    """The shim, for who has a compiler."""
    shim = folder / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Wno-implicit-fallthrough", "-Werror"]
    subprocess.run([*command, "-o", shim, HERE / "shim.c", "-ldl"], check=True)
    return shim


class Disk:
    """Runs commands, each in a child of one process that has everything imported."""

    def __init__(self, shim: Path, scratch: Path, cache: Path) -> None:
        self.folder = scratch
        own = {"LD_PRELOAD": str(shim), "PYTHONWARNINGS": "error", "LRSWEEP_CACHE": str(cache)}
        one = {"OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"}
        start = partial(subprocess.Popen[str], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.driver = start([sys.executable, HERE / "driver.py", scratch], env={**os.environ, **own, **one})

    def warm(self, *arguments: str, cwd: Path) -> int:
        """Runs a command once for what it imports; returns its exit code."""
        return int(self.ask(here=True, arguments=arguments, cwd=str(cwd))["code"])

    def run(
        self,
        *arguments: str,
        cwd: Path,
        below: Path | None = None,
        fault: Fault = SOUND,
        at: int = 0,
        user: int = 0,
        cache: Path | None = None,
        interrupted: bool = False,
    ) -> Ended:
        """Runs a command in `cwd`; the operation `at` of those that change something `below` (`cwd`) ends in `fault`.

        As another `user`; with a `cache` of its own; or `interrupted` by Ctrl-C when the first run is stored, from
        when on `at` is 1.
        """
        request = {
            "arguments": arguments,
            "cwd": str(cwd),
            "below": str(below or cwd),
            "user": user,
            "at": at,
            "cache": cache and str(cache),
        }
        asked = request | {"how": fault.how, "error": fault.error, "interrupted": interrupted, "here": False}
        return Ended(**self.ask(**asked))

    def ask(self, **request: Any) -> dict[str, Any]:
        """The driver's answer."""
        assert self.driver.stdin
        assert self.driver.stdout
        print(json.dumps(request), file=self.driver.stdin, flush=True)
        line = self.driver.stdout.readline()
        assert line, f"the driver ended by itself: {self.driver.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the driver."""
        assert self.driver.stdin
        assert self.driver.stdout
        self.driver.stdin.close()
        self.driver.wait()
        self.driver.stdout.close()


def copied(source: Path, target: Path) -> Path:
    """A folder once more, in the place of what is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target
