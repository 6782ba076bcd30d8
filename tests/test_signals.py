"""Told to end: by Ctrl-C, a closing terminal, a queue; at any moment, once or twice, with workers or without."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from waiting import awaited, wait_until

from lrsweep import sweep
from lrsweep.execute.workers import Pool
from lrsweep.live import View
from lrsweep.report.progress import progress
from lrsweep.search import work
from lrsweep.signals import PATIENCE, SAME, Ended, Ending
from lrsweep.store import Store
from lrsweep.vocabulary import Outcome
from lrsweep.worker import READY

TEXT = """\
dataset: iris
width: 4
optimizer: [sgd, adam]
learning_rate: [0.01, 0.1]
batch_size: full
epochs: 2
seeds: 2
"""
ENDLESS = TEXT.replace("epochs: 2", "epochs: 1000000")

GOES_ON = "stopped: finished runs are kept; the same command goes on"
ANEW = "stopped; the same command starts anew"

CHILD = """
import importlib, os, pathlib, signal, sys, time
import lrsweep.signals
lrsweep.signals.PATIENCE, lrsweep.signals.SAME = map(float, os.environ["WAITS"].split())
module, _, name = sys.argv.pop(1).partition(":")
code = sys.argv.pop(1)
*path, last = name.split(".")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)
inner = getattr(owner, last)
def replaced(*args, **how):
    exec(code, globals())
    return inner(*args, **how)
setattr(owner, last, replaced)
from lrsweep.__main__ import main
main()
"""
"""A command in which some code is executed whenever a function is called."""

TOLD = "print(time.monotonic(), file=pathlib.Path('told').open('a')); os.killpg(0, {:d})"
"""Sends a signal to the process and its workers, as a terminal does, and notes when."""

MOST = 2
"""Seconds within which a command that is told to end does."""

LOADED = 28
"""Seconds that others may have the processors meanwhile; what would not end takes a minute at the least."""

HANGS = 300
"""Seconds after which a process is taken for one that hangs, or that an end may take where order is looked at."""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of 8 runs on iris, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def views(folder: Path) -> list[bytes]:
    """The files that must not depend on what happened."""
    return [(folder / name).read_bytes() for name in ("runs.csv", "curves.csv", "ranking.csv")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The files of the sweep, run in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "small.yaml").write_text(TEXT)
    return views(sweep.run(folder / "small.yaml", workers=0, results=folder).folder)


def started(
    moment: str, code: str, *arguments: str, patience: float = PATIENCE, same: float = SAME
) -> subprocess.Popen[str]:
    """A command that executes some code whenever it comes to a moment, in a group of its own."""
    command = [sys.executable, "-c", CHILD, moment, code, *arguments]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    surroundings = {**os.environ, "WAITS": f"{patience} {same}"}
    return subprocess.Popen(command, env=surroundings, start_new_session=True, **pipes)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """The exit code of a process and what it said, after nothing of it is left."""
    _, said = process.communicate(timeout=HANGS)
    wait_until(lambda: not members(process.pid))
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return process.returncode, said.splitlines()


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = subprocess.run(["ps", "-A", "-o", "pid=,sess=,stat="], capture_output=True, text=True, check=True)  # noqa: S607
    rows = [line.split() for line in found.stdout.splitlines()]
    return [int(pid) for pid, sess, state in rows if int(sess) == session and not state.startswith("Z")]


def seconds_to_end(process: subprocess.Popen[str]) -> float:
    """How long a process takes to its end, from when it was first told to."""
    process.wait(timeout=HANGS)
    return time.monotonic() - float(Path("told").read_text().split()[0])


RUN, FIND, REPORT = ("run", "small.yaml", "--workers"), ("find", "small.yaml", "--workers", "0"), ("report", "small")
MOMENTS = [
    ("lrsweep.sweep:make_plan", (*RUN, "0"), GOES_ON),
    ("lrsweep.plan.plan:load_all", ("plan", "small.yaml"), ANEW),
    ("lrsweep.store.database:Store.set_plan", (*RUN, "0"), GOES_ON),
    ("multiprocessing.process:BaseProcess.start", (*RUN, "2"), GOES_ON),
    ("lrsweep.execute.training:train", (*RUN, "0"), GOES_ON),
    ("lrsweep.store.database:Store.add", (*RUN, "2"), GOES_ON),
    ("lrsweep.store.database:Store.write_views", (*RUN, "0"), GOES_ON),
    ("pathlib:Path.replace", (*RUN, "0"), GOES_ON),
    ("lrsweep.analysis.answer:answer", (*RUN, "0"), GOES_ON),
    ("lrsweep.report.terminal:print_summary", (*RUN, "0"), GOES_ON),
    ("lrsweep.finding.training:ramp", FIND, ANEW),
    ("lrsweep.report.terminal:print_summary", REPORT, ANEW),
    ("lrsweep.report.page:page", (*REPORT, "--html"), ANEW),
    ("lrsweep.coordcheck:examine", ("coordcheck", "small.yaml"), ANEW),
]
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize(
    ("moment", "arguments", "line", "number"),
    [(*case, NUMBERS[i % 3]) for i, case in enumerate(MOMENTS)],
    ids=[f"{moment.split(':')[1]}-{arguments[0]}" for moment, arguments, _ in MOMENTS],
)
def test_a_signal_at_any_moment_ends_a_command_in_order(
    spec: Path, undisturbed: list[bytes], moment: str, arguments: tuple[str, ...], line: str, number: int
) -> None:
    if arguments[0] == "report":
        sweep.run(spec, workers=0)
    code, said = ended(started(moment, TOLD.format(number), *arguments))
    assert (code, said[-1]) == (128 + number, line)
    if arguments[0] == "run":
        assert views(sweep.run(spec, workers=0).folder) == undisturbed


def test_a_signal_ends_a_sweep_within_two_seconds(spec: Path) -> None:
    """At every other of its moments, in their order; but for one, they may have had to wait for a processor."""
    seconds = []
    for moment, arguments in [(moment, arguments) for moment, arguments, _ in MOMENTS if arguments[0] == "run"][::2]:
        process = started(moment, TOLD.format(signal.SIGTERM), *arguments)
        seconds.append(seconds_to_end(process))
        assert ended(process)[0] == 143
        Path("told").unlink()
    assert min(seconds) < MOST, seconds
    assert PATIENCE < MOST


def test_a_signal_keeps_finished_runs_and_writes_their_views(spec: Path) -> None:
    second = "count = globals().get('count', 0) + 1\nif count == 2: " + TOLD.format(signal.SIGTERM)
    code, _ = ended(started("lrsweep.execute.training:train", second, *RUN, "0", patience=HANGS))
    rows = Path("results/small/runs.csv").read_text().splitlines()
    with Store.open(Path("results/small")) as store:
        assert (code, len(rows) - 1) == (143, len(store.statuses()))
    assert 0 < len(rows) - 1 < 8


def test_a_signal_while_the_command_imports_ends_it_without_a_traceback(spec: Path) -> None:
    assert ended(started("typer:Typer.__init__", TOLD.format(signal.SIGINT), *RUN, "0")) == (130, ["stopped"])


BUSY = """
import _thread, hashlib
sys.setswitchinterval(1000)  # the other thread begins where this one is in C, and not before
_thread.start_new_thread(exec, ({!r}, globals()))
hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)
"""
"""Minutes in one call of C, in which Python hears nothing of what another thread does."""


def test_a_signal_in_a_long_call_of_c_ends_the_command_in_time(spec: Path) -> None:
    code = BUSY.format(TOLD.format(signal.SIGTERM))
    process = started("lrsweep.execute.training:train", code, *RUN, "0")
    assert PATIENCE <= seconds_to_end(process) < MOST + LOADED
    assert ended(process) == (143, ["small  8 runs: 0 done, 8 to train", GOES_ON])


SLOW = "print('closing', file=sys.stderr, flush=True); time.sleep(60)"


def closing(spec: Path, patience: float = PATIENCE) -> subprocess.Popen[str]:
    """A sweep with a worker that was told to end, and that takes a minute to do so."""
    spec.write_text(ENDLESS)
    process = started("lrsweep.store.database:Store.write_views", SLOW, *RUN, "1", patience=patience)
    wait_until(lambda: len(members(process.pid)) > 1)
    wait_until(Path("results/small/provenance.json").exists)
    Path("told").write_text(str(time.monotonic()))
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr
    while process.stderr.readline() != "closing\n":
        assert process.poll() is None
    return process


def test_a_second_signal_ends_a_command_at_once(spec: Path) -> None:
    """Once it is one of its own: whether the first was heard just now, only the process knows."""
    process = closing(spec, patience=HANGS)

    def told_again() -> bool:
        os.killpg(process.pid, signal.SIGINT)
        return process.poll() is not None

    assert awaited(told_again, MOST + LOADED, pause=2 * SAME)  # of the minute
    assert ended(process) == (130, [GOES_ON])


def test_an_end_that_takes_too_long_is_cut_short(spec: Path) -> None:
    process = closing(spec)
    assert PATIENCE <= seconds_to_end(process) < MOST + LOADED  # of the minute
    assert ended(process) == (130, [GOES_ON])


def test_two_signals_that_come_together_are_one(spec: Path) -> None:
    """As from `timeout`, and from a terminal that closes."""
    moment = "lrsweep.store.database:Store.write_views"
    process = started(moment, "os.kill(os.getpid(), 15)", *RUN, "0", patience=HANGS, same=HANGS)
    assert ended(process) == (143, ["small  8 runs: 0 done, 8 to train", GOES_ON])
    assert Path("results/small/runs.csv").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_is_ignored_from_the_start_stays_ignored(spec: Path, number: int) -> None:
    """SIGHUP is by `nohup`, SIGINT by the `&` of a shell's script."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        process = started("lrsweep.sweep:make_plan", TOLD.format(number), *RUN, "1")
    finally:
        signal.signal(number, before)
    assert ended(process)[0] == 0


def test_a_command_that_is_suspended_goes_on(spec: Path) -> None:
    process = started("lrsweep.sweep:make_plan", "os.killpg(0, signal.SIGSTOP)", *RUN, "1")
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    os.killpg(process.pid, signal.SIGCONT)
    assert ended(process)[0] == 0


def test_ctrl_c_at_a_terminal(spec: Path) -> None:
    """The block that shows the progress is taken away, the cursor is there, and nobody else says anything."""
    spec.write_text(ENDLESS)
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.execv(sys.executable, [sys.executable, "-m", "lrsweep", *RUN, "2"])  # noqa: S606
    limit = threading.Timer(HANGS, os.killpg, [pid, signal.SIGKILL])
    limit.start()
    shown, typed = "", False
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(terminal, 4096).decode(errors="replace"):
            shown += part
            if not typed and "starting" in shown and len(members(pid)) > 2:
                os.write(terminal, b"\x03")
                typed = True
    _, status = os.waitpid(pid, 0)
    limit.cancel()
    os.close(terminal)
    wait_until(lambda: not members(pid))
    assert os.waitstatus_to_exitcode(status) == 130
    assert shown.rindex("\x1b[?25h") > shown.rfind("\x1b[?25l")
    assert re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", shown).splitlines()[-1].endswith(GOES_ON)
    assert "Traceback" not in shown


def test_the_cursor_is_there_while_progress_is_shown(spec: Path) -> None:
    """A process that is stopped or killed cannot bring it back."""
    console = Console(file=io.StringIO(), force_terminal=True)
    with progress(4, console=console) as update:
        update(1, 4, "", 0)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


# In this process


class Loses:
    """What is interrupted while it goes: Python drops the exception."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_end_that_python_loses_comes_again() -> None:
    def lose() -> None:
        with Ending():
            Loses()
            wait_until(lambda: False)

    with pytest.raises(Ended):
        lose()


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in NUMBERS], sys.unraisablehook
    with Ending():
        assert signal.getsignal(signal.SIGTERM) not in before[0]
    assert ([signal.getsignal(number) for number in NUMBERS], sys.unraisablehook) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_in_python_signals_are_the_callers(spec: Path) -> None:
    before, seen = [signal.getsignal(number) for number in NUMBERS], []

    class Watching(View):
        def trained(self, outcomes: list[Outcome]) -> None:
            seen.append([signal.getsignal(number) for number in NUMBERS])
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep.run(spec, workers=0, view=Watching(quiet=True))
    assert seen == [before]
    assert Path("results/small/runs.csv").exists()


def test_large_files_are_left_to_the_next_run_where_somebody_waits(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.store.database.LARGE", 0)
    monkeypatch.setattr(work.Views, "refresh", lambda views: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as caught:
        sweep.run(spec, workers=0)
    assert caught.value.__notes__ == [
        "results/small: its large CSV files are of an earlier moment until the next run ends"
    ]
    assert not Path("results/small/runs.csv").exists()
    monkeypatch.undo()
    monkeypatch.chdir(spec.parent)
    assert len(sweep.run(spec, workers=0).runs) == 8
    assert Path("results/small/runs.csv").exists()


def test_in_another_thread_signals_are_left_alone() -> None:
    before, seen = [signal.getsignal(number) for number in NUMBERS], []

    def command() -> None:
        with Ending():
            seen.append([signal.getsignal(number) for number in NUMBERS])

    thread = threading.Thread(target=command)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_worker_that_is_told_to_end_ends() -> None:
    """What is blocked while it is started is heard afterwards."""
    with contextlib.closing(Pool(workers=1)) as pool:
        worker = pool.start()
        assert worker.pipe.recv() == READY
        worker.process.terminate()
        worker.process.join(timeout=HANGS)
        assert worker.process.exitcode == -signal.SIGTERM
