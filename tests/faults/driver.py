"""Runs commands of lrsweep on a disk that fails: one forked child each, with everything imported already.

Started with the shim preloaded; reads a request per line and answers each with a line, both JSON: see disk.Disk.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lrsweep import signals
from lrsweep.cli import app
from lrsweep.search.work import Views
from lrsweep.store import Store
from lrsweep.vocabulary import Outcome

SHIM = ctypes.CDLL(None)
SHIM.fault_name.restype = ctypes.c_char_p

Request = Mapping[str, Any]

# What a command does is the same however slow the machine is: it ends in order, and writes its views at the end alone.
signals.PATIENCE = 300
Views.refresh = lambda _: None  # type: ignore[method-assign]


def answer(request: Request, scratch: Path) -> dict[str, Any]:
    """What became of a command: exit code (of a signal: negative), what it said, and what it had stored by then."""
    out, err, stored = (scratch / name for name in ("out", "err", "stored"))
    for path in (out, err, stored):
        path.write_bytes(b"")
    SHIM.fault_set(*fault(request))
    child = os.fork()
    if not child:
        end_as(run, request, out, err, stored)
    _, status = os.waitpid(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "out": out.read_text(errors="replace"),
        "err": err.read_text(errors="replace"),
        "stored": still_stored(stored.read_text().split()),
        "count": SHIM.fault_count(),
        "name": SHIM.fault_name().decode(),
    }


def fault(request: Request, at: int | None = None) -> tuple[bytes, int, int, int]:
    """The arguments of the shim."""
    return os.fsencode(request["below"]), request["at"] if at is None else at, request["how"], request["error"]


def end_as(function: Callable[..., int], *arguments: Any) -> None:
    """Ends this process with what a function says."""
    code = 70
    try:
        code = function(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def run(request: Request, out: Path, err: Path, stored: Path) -> int:
    """The command, as a shell would start it."""
    for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_RDWR), descriptor)
    with stored.open("ab", buffering=0) as noted:
        note_what_is_stored(request, noted.write)
        if cache := request["cache"]:
            os.environ["LRSWEEP_CACHE"] = cache
        os.chdir(request["cwd"])
        if user := request["user"]:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        try:
            app(request["arguments"])
        except SystemExit as end:
            sys.stdout.flush()
            return int(end.code or 0)
    return 0


def note_what_is_stored(request: Request, note: Callable[[bytes], object]) -> None:
    """Notes each run once its row is committed, and its withdrawal; the first one interrupts where that is asked."""
    add, forget = Store.add, Store.forget

    def added(store: Store, outcomes: Iterable[Outcome]) -> None:
        outcomes = [*outcomes]
        add(store, outcomes)
        note("".join(f"{store.folder.name}/{one.run_id} " for one in outcomes).encode())
        if request["interrupted"]:
            SHIM.fault_set(*fault(request, at=1))
            os.kill(os.getpid(), signal.SIGINT)

    def forgotten(store: Store, run_ids: Iterable[str]) -> None:
        run_ids = [*run_ids]
        note("".join(f"-{store.folder.name}/{run_id} " for run_id in run_ids).encode())  # before: it need not be there
        forget(store, run_ids)

    Store.add, Store.forget = added, forgotten  # type: ignore[method-assign]


def still_stored(noted: Iterable[str]) -> list[str]:
    """Those that were stored and not withdrawn."""
    found: set[str] = set()
    for one in noted:
        found = found - {one[1:]} if one.startswith("-") else found | {one}
    return sorted(found)


def main(scratch: Path) -> None:
    """Answers requests until there are no more."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in sys.stdin:
        request = json.loads(line)
        if request["here"]:  # all that commands import on their way is there for the children then
            SHIM.fault_set(b"", 0, 0, 0)
            os.chdir(request["cwd"])
            told = {"code": warm(request["arguments"])}
            gc.freeze()  # what children do not touch need not be copied for them
        else:
            told = answer(request, scratch)
        print(json.dumps(told), file=sys.__stdout__, flush=True)


def warm(arguments: list[str]) -> int:
    """Runs a command in this process."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        sys.stdout = sys.stderr = nowhere
        try:
            app(arguments)
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
