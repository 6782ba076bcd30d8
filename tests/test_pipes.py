"""Where a command prints: into pipes, no files, full disks, narrow and dumb terminals, encodings with few signs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lrsweep import sweep
from lrsweep.cli import app
from lrsweep.ending import line_by_line
from lrsweep.report.progress import progress

TEXT = "{dataset: iris, width: [4, 8], optimizer: [sgd, adam], learning_rate: [0.01, 0.1], epochs: 2, seeds: 2}"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def swept(spec: Path) -> Path:
    """The same, run."""
    sweep.run(spec, workers=0)
    return spec


def shell(command: str, wrapped: str = "{}", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a shell of its own, with its redirections, `wrapped` in more of what a shell does."""
    line = wrapped.format(f"{sys.executable} -m lrsweep {command}")
    done = subprocess.run(
        ["bash", "-c", line],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.parametrize(
    "command", ["schema", "plan small.yaml --runs", "run small.yaml --workers 0", "--help", "run -h", "--version"]
)
def test_a_reader_that_leaves_ends_a_command_in_silence(swept: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    arguments = [sys.executable, "-m", "lrsweep", *command.split()]
    done = subprocess.run(arguments, stdout=write, stderr=subprocess.PIPE, check=False, text=True)
    os.close(write)
    said = "small  16 runs: 16 done, 0 to train\n" if command.startswith("run small") else ""
    assert (done.returncode, done.stderr) == (141, said)


def test_a_mistake_in_the_usage_stays_one_though_nobody_reads_of_it(spec: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "lrsweep", "nonsense"], stderr=write, check=False)
    os.close(write)
    assert done.returncode == 2


def test_what_was_trained_is_stored_though_the_reader_left(spec: Path) -> None:
    done = shell("run small.yaml --workers 0 | true; exit ${PIPESTATUS[0]}")
    assert done.returncode == 141
    assert Path("results/small/recommendation.json").exists()


NO_ROOM = "lrsweep: what is printed cannot be written: No space left on device; make room, or print elsewhere\n"


@needs_full
@pytest.mark.parametrize("command", ["list optimizers", "plan small.yaml --json", "--help", "--version"])
def test_a_full_disk_beneath_stdout_is_told(spec: Path, command: str) -> None:
    done = shell(f"{command} >/dev/full")
    assert (done.returncode, done.stderr) == (3, NO_ROOM)


def test_a_file_that_may_not_grow_beneath_stdout_is_told(spec: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 0; {sys.executable} -m lrsweep schema > out.txt"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, NO_ROOM.replace("No space left on device", "File too large"))


@pytest.mark.parametrize(
    ("where", "code"),
    [
        pytest.param("run small.yaml --workers 0 2>/dev/full", 0, marks=needs_full),
        pytest.param("nonsense 2>/dev/full", 2, marks=needs_full),
        pytest.param("run none.yaml 2>/dev/full", 2, marks=needs_full),
        pytest.param("run small.yaml --workers 1 2>/dev/full", 0, marks=needs_full),
        ("run small.yaml --workers 0 2> >(true)", 0),
        ("run small.yaml --workers 0 2>&-", 0),
        ("run small.yaml --workers 1 >&- 2>&- <&-", 0),
    ],
)
def test_talk_that_nobody_hears_changes_nothing(spec: Path, where: str, code: int) -> None:
    assert shell(where).returncode == code
    assert Path("results/small/recommendation.json").exists() == where.startswith("run small")


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system has no pipes of packets")
def test_a_line_of_talk_is_written_at_once() -> None:
    """So that the lines of several sweeps are whole in a log that they share."""
    read, write = os.pipe2(os.O_DIRECT)  # each write is a packet, and so is each read
    with os.fdopen(write, "w") as stream:
        print("a line", file=line_by_line(stream), flush=True)
        assert os.read(read, 100) == b"a line\n"
    os.close(read)


def test_data_has_no_talk_in_it_where_stderr_is_closed(spec: Path) -> None:
    assert "runs" in json.loads(shell("plan small.yaml --json 2>&-").stdout)


def test_no_file_of_ours_takes_the_place_of_a_closed_stream(spec: Path) -> None:
    """What C code has to say would go there, and into workers."""
    script = "import os; from lrsweep import __main__ as ours; ours.open_missing_streams()"
    script += "; print(os.pipe(), os.get_inheritable(0))"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{script}' <&- 2>&-"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(3, 4) True\n"


def test_a_current_folder_that_is_gone_is_told(spec: Path) -> None:
    done = shell("init", wrapped="mkdir gone; cd gone; rmdir ../gone; {}")
    said = "lrsweep: the current folder does not exist any more; change to one that does\n"
    assert (done.returncode, done.stderr) == (3, said)


@pytest.mark.parametrize("columns", ["0", "²", "9" * 30])
def test_a_width_that_is_none_is_no_width(spec: Path, columns: str) -> None:
    environment = {"LINES": columns, "COLUMNS": columns}
    assert shell("--help", **environment).stdout == shell("--help", COLUMNS="80").stdout


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_pipe_has_no_colour_and_no_progress(spec: Path, environment: dict[str, str]) -> None:
    done = shell("run small.yaml --workers 0", **environment)
    assert done.returncode == 0
    assert not set("\x1b\r") & set(done.stdout + done.stderr)
    assert done.stderr.splitlines()[0] == "small  16 runs: 0 done, 16 to train"


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_an_encoding_with_few_signs_gets_an_answer_in_those(swept: Path, environment: dict[str, str]) -> None:
    done = shell("report small", **environment)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "+/-" in done.stdout or "~" in done.stdout


def test_help_that_is_cut_short_needs_no_sign_that_an_encoding_lacks(spec: Path) -> None:
    done = shell("run --help", PYTHONIOENCODING="ascii", COLUMNS="40")
    assert (done.returncode, done.stdout.isascii()) == (0, True)


def test_json_in_an_encoding_with_few_signs_says_the_same(spec: Path) -> None:
    spec.rename("größe.yaml")
    spec = Path("größe.yaml")
    spec.write_text(TEXT.replace("{", "{name: small, description: größer 😀, ", 1))
    few = shell("plan *.yaml --json", PYTHONIOENCODING="ascii")
    assert few.stdout.isascii()
    assert json.loads(few.stdout) | {"seconds": 0} == json.loads(shell("plan *.yaml --json").stdout) | {"seconds": 0}


def at_terminal(command: str, columns: int, **environment: str) -> tuple[int, str]:
    """The exit code of a command at a terminal so wide, and all that it shows there."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        arguments = [sys.executable, "-m", "lrsweep", *command.split()]
        os.execve(sys.executable, arguments, {**clean, "TERM": "xterm", **environment})  # noqa: S606
    shown, resized = b"", False
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(terminal, 4096):
            shown += part
            if not resized and b"starting" in shown:
                resized = True
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns // 2, 0, 0))
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_a_narrow_terminal_that_is_resized_gets_lines_that_fit(spec: Path) -> None:
    code, shown = at_terminal("run small.yaml --workers 0 --quiet", 40)
    lines = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", shown).splitlines()
    assert code == 0
    assert any("Use " in line for line in lines)
    assert [line for line in lines if len(line.rstrip()) > 40 and not line.startswith("  -o ")] == []
    code, shown = at_terminal("run small.yaml --workers 0 -o seeds=3", 40)
    assert code == 0
    assert "Traceback" not in shown


def test_a_dumb_terminal_gets_no_signs_that_steer(spec: Path) -> None:
    code, shown = at_terminal("run small.yaml --workers 0", 80, TERM="dumb")
    assert code == 0
    assert "\x1b" not in shown
    assert "\r" not in shown.replace("\r\n", "")


def test_a_terminal_that_goes_away_does_not_end_a_sweep_that_ignores_it(spec: Path) -> None:
    """As when a shell that was told to disown it is closed: whatever is written to the terminal fails from then on."""
    spec.write_text(TEXT.replace("epochs: 2", "epochs: 300"))
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "lrsweep", "run", "small.yaml", "--workers", "1"]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    os.close(theirs)
    shown = b""
    while b"starting" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, b"Use " in out) == (0, True)


COMMANDS = [
    *("plan small.yaml", "plan small.yaml --runs", "report small", "report small --all", "run small.yaml --workers 0"),
    *("find small.yaml --no-confirm --workers 0", "coordcheck small.yaml --steps 1", "list optimizers"),
    *("list schedules --draw", "list datasets", "--help", "run --help"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_any_width_gets_an_answer_and_forty_columns_get_lines_that_fit(swept: Path, command: str) -> None:
    codes, shown = set(), {}
    for columns in ("0", "1", "40", "1000"):
        result = CliRunner().invoke(app, command.split(), env={"COLUMNS": columns}, catch_exceptions=False)
        codes.add(result.exit_code)
        shown[columns] = result.stdout
        assert "\x1b" not in result.output
    assert codes == ({1} if command.startswith("coordcheck") else {0})
    long = [line for line in shown["40"].splitlines() if len(line) > 40]
    assert [line for line in long if not line.startswith("  -o ")] == []


class Gone(io.StringIO):
    """A terminal that takes nothing any more."""

    def write(self, _: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_progress_leaves_nothing_on_a_terminal_that_is_lower_than_it() -> None:
    """What is drawn beyond the upper edge cannot be taken away."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=20, height=5, _environ={"TERM": "xterm"})
    with progress(16, title="small  16 runs in 4 stacks", console=console) as update:
        update(16, 16, "adam 0.1 → val_loss 0.272", 3)
    assert 3 < max(drawn.count("\n") for drawn in file.getvalue().split("\x1b[1A")) < 5


def test_what_a_schedule_does_is_told_in_full_however_narrow_the_terminal() -> None:
    shown = CliRunner().invoke(app, ["list", "schedules", "--draw"], env={"COLUMNS": "20"}).stdout.split()
    assert {"throughout.", "percentage", "evenly."} < {*shown}


def test_progress_that_cannot_be_shown_is_not_shown() -> None:
    with progress(4, console=Console(file=Gone(), force_terminal=True)) as update:
        update(1, 4, "", 0)
