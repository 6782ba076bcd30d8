"""Numbers that nobody can mean: counted, compared with memory, disk and --max-runs, and refused at the door."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from plan_cases import planned
from soon import GOES, slowness
from typer.testing import CliRunner

from lrsweep import room
from lrsweep.cli import app
from lrsweep.plan import check_disk, check_memory, make_stacks
from lrsweep.plan.outlay import disk_bytes
from lrsweep.room import over_free_disk
from lrsweep.vocabulary import StoreError, UsageError

RATE = "learning_rate: 0.1\n"
HUGE = 2**53
RANGE = f"{{linear: [1, {HUGE}], num: {10**12}}}"
MUCH = "over half of the machine's"
MANY = "are more than --max-runs"

SPECS: dict[str, tuple[str, str]] = {
    "width": (f"{RATE}width: 1000000000", MUCH),
    "the widest": (f"{RATE}width: {HUGE}", MUCH),
    "beyond the widest": (f"{RATE}width: {HUGE + 1}", "must be at most 9,007,199,254,740,992; lower it"),
    "widths": (f"{RATE}width: {{doubling: [1, {HUGE}]}}", MUCH),
    "depth": (f"{RATE}depth: 1000000000", "must be at most 10,000; lower it"),
    "a deep network of one unit": (f"{RATE}depth: 1000000\nwidth: 1", "must be at most 10,000; lower it"),
    "width and depth": (f"{RATE}depth: 10000\nwidth: 20000", MUCH),
    "epochs": (f"{RATE}epochs: 1000000000000", MUCH),
    "the most epochs": (f"{RATE}epochs: {HUGE}", MUCH),
    "subset": (f"{RATE}subset: 1000000000", "is more than the 60 training rows; lower subset"),
    "warm-up": (f"{RATE}schedule: {{name: cosine, warmup: {HUGE}}}", "must be shorter than the run"),
    "growth": (f"{RATE}growth: {{at_epoch: 3, to_width: 1000000000}}", MUCH),
    "growth late": (f"{RATE}growth: {{at_epoch: {HUGE}, to_width: 128}}", "must be below epochs 20; lower it"),
    "a deviation": (f"{RATE}noise: [0.1, 1e308]", "noise 1e+308 is inf in float32; lower it, or set precision"),
    "a small deviation": (f"{RATE}noise: 1e-320", "noise 1e-320 is 0 in float32; raise it, or set precision"),
    "noise": (f"{RATE}noise: {{log: [1e-3, 1], num: {10**9}}}", "deviations are more than 100"),
    "seeds": (f"{RATE}seeds: 1000000000", "1,000,000,000 runs (seeds 1,000,000,000) are more than --max-runs 10,000"),
    "seeds beyond counting": (f"{RATE}seeds: {10**100}", f"about 10^100 runs (seeds about 10^100) {MANY}"),
    "a seed": (f"{RATE}seeds: [{2**64}]", "must be at most 9,007,199,254,740,992; lower it"),
    "a seed below 0": (f"{RATE}seeds: [-1]", "must be at least 0; raise it"),
    "a seed of the split": (f"{RATE}split_seed: {2**70}", "must be at most 9,007,199,254,740,992; lower it"),
    "rates": (f"learning_rate: {{log: [1e-4, 1], num: {10**12}}}", MANY),
    "rates by decade": (f"learning_rate: {{log: [1e-4, 1], per_decade: {10**12}}}", MANY),
    "random rates": (f"learning_rate: {{log_uniform: [1e-4, 1], num: {10**30}}}", MANY),
    "Halton's rates": (f"learning_rate: {{halton: [1e-4, 1], num: {10**30}}}", MANY),
    "whole numbers": (f"{RATE}width: {RANGE}", MANY),
    "settings of an optimizer": (
        f"{RATE}optimizer: {{name: momentum, momentum: {{linear: [0, 0.9], num: {10**9}}}}}",
        MANY,
    ),
    "layer rates": (
        f"{RATE}layer_rates: {{first: {{log: [0.1, 1], num: {10**5}}}, last: {{log: [0.1, 1], num: {10**5}}}}}",
        MANY,
    ),
    "a product": (f"{RATE}width: {RANGE}\nepochs: {RANGE}\nbatch_size: {RANGE}\nseeds: {HUGE}", "about 10^52 runs"),
    "a zip": (f"zip: [[width, epochs]]\n{RATE}width: {RANGE}\nepochs: {RANGE}", "(width+epochs about 10^12"),
    "an exclude": (f"{RATE}width: {RANGE}\nexclude: [{{width: {RANGE}}}]", "runs before exclude"),
    "excludes": (
        f"{RATE}width: {{linear: [1, 1000], num: 1000}}\nseeds: 10\nexclude: "
        f"[{', '.join(f'{{width: {i}, seeds: 3}}' for i in range(1, 900))}]",
        "exclude compares more than 200,000 values; give it fewer entries",
    ),
    "blocks": (
        f"{RATE}blocks: [{', '.join(f'{{width: {i}, seeds: {10**9}}}' for i in range(1, 200))}]",
        "199 blocks, the",
    ),
    "a small rate": ("learning_rate: 1e-320", "learning_rate 1e-320 is 0 in float32; raise it"),
    "a large rate": ("learning_rate: 1e308", "learning_rate 1e+308 is inf in float32; lower it"),
    "a rate beyond numbers": ("learning_rate: 1e400", "must be finite; write for example 0.1"),
    "refined rates": (f"{RATE}refine: {{max_rates: {10**9}}}", "must be at most 100; lower it"),
    "extended decades": (f"{RATE}extend: {{max_decades: {10**9}}}", "must be at most 10; lower it"),
    "halving": (
        f"learning_rate: [0.1, 1]\nelimination: {{halving: {{min: {HUGE}}}}}",
        "first rung, 9.0072e+15, so that",
    ),
    "a sample": (
        f"learning_rate: [0.1, 1]\nelimination: {{screen: {{subset: {HUGE}, epochs: {HUGE}}}}}",
        "saves nothing",
    ),
    "cycles": (f"{RATE}schedule: {{name: warm_restarts, cycles: {HUGE}}}", "must be at most 1,000; lower it"),
    "a number of 100,000 digits": (f"{RATE}width: {'9' * 100_000}", "width"),
}  # fmt: skip
"""A sweep file, and what is said of it."""

COMMANDS: dict[str, tuple[list[str], str]] = {
    "--max-runs": (["run", "--max-runs", str(10**12), "-o", f"seeds={10**9}"], "more than --max-runs 1,000,000 allows"),
    "--max-runs of plan": (["plan", "--max-runs", str(10**100), "-o", f"seeds={10**9}"], "--max-runs 1,000,000 allows"),
    "--workers": (["run", "--workers", str(10**9)], "--workers"),
    "--time-limit nan": (["run", "--time-limit", "nan"], "--time-limit"),
    "--time-limit -inf": (["run", "--time-limit", "-inf"], "--time-limit"),
    "--steps of find": (["find", "--steps", str(10**9)], "--steps 1,000,000,000 must be from 20 to 10,000"),
    "--seeds of find": (["find", "--seeds", str(10**9)], f"1,000,000,000 runs (seeds 1,000,000,000) {MANY}"),
    "--low of find": (["find", "--low", "1e-320"], "is 0 in float32; raise it"),
    "--high of find": (["find", "--high", "nan"], "--high nan must be at least ten times --low"),
    "width of find": (["find", "-o", "width=1000000000"], MUCH),
    "epochs of find": (["find", "-o", f"epochs={HUGE}"], MUCH),
    "--steps of coordcheck": (["coordcheck", "--steps", str(10**9)], "--steps 1,000,000,000 must be from 1 to 10,000"),
    "--rate of coordcheck": (["coordcheck", "--rate", "inf"], "--rate inf must be above 0 and finite"),
    "width of coordcheck": (["coordcheck", "-o", "base_width=1000000000"], MUCH),
    "seeds of coordcheck": (["coordcheck", "-o", "seeds=1000000000"], MANY),
}  # fmt: skip
"""A command with a good sweep file, and what is said to it."""

CHILD = """
import json, resource, sys, time
from pathlib import Path
from typer.testing import CliRunner
from lrsweep.cli import app

answers = []
for arguments in json.loads(sys.argv[1]):
    start = time.process_time()
    result = CliRunner().invoke(app, arguments)
    answers.append((result.exit_code, result.stderr, time.process_time() - start))
status = Path("/proc/self/status")  # `ru_maxrss` begins with that of the process which started this one
lines = status.read_text().splitlines() if status.exists() else []
peak = next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
print(json.dumps((answers, peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with data of 100 rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))
    np.savez("d.npz", x=np.arange(500.0).reshape(100, 5), y=np.arange(100) % 3)
    return tmp_path


def answered(asked: list[list[str]]) -> tuple[list[tuple[int, str, float]], int]:
    """What became of commands in one process: exit codes, what was said, seconds; and the bytes that it used in all."""
    command = [sys.executable, "-c", CHILD, json.dumps(asked)]
    answers, used = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answers, used


def test_numbers_that_nobody_can_mean_are_refused_in_a_second_and_150_MB(folder: Path) -> None:
    """One process does them all, one after the other; what it may use in all is what each of them may."""
    asked = []
    for i, (text, _) in enumerate(SPECS.values()):
        Path(f"s{i}.yaml").write_text(f"dataset: {{file: d.npz}}\n{text}\n")
        asked.append(["run", f"s{i}.yaml", "--workers", "0"])
    Path("s.yaml").write_text(f"dataset: {{file: d.npz}}\n{RATE}")
    asked += [[command, "s.yaml", *options] for (command, *options), _ in COMMANDS.values()]
    wanted = [words for _, words in (*SPECS.values(), *COMMANDS.values())]
    answers, used = answered(asked)
    for name, arguments, words, (code, said, seconds) in zip([*SPECS, *COMMANDS], asked, wanted, answers, strict=True):
        assert code == 2, (name, said)
        assert words in said, name
        # Of the process's own time, however busy the machine is, and compared with how slow it is.
        assert seconds < 1 or any(answered([arguments])[0][0][2] < slowness() for _ in range(GOES)), name
    assert used < 150 * 2**20
    assert not Path("results").exists()


# --- What can be meant, though it is large


def done(*arguments: str, code: int = 0) -> str:
    """What a command says to a good sweep file, in this process."""
    Path("s.yaml").write_text(f"dataset: {{file: d.npz}}\nwidth: 4\nepochs: 2\nseeds: 1\n{RATE}")
    result = CliRunner().invoke(app, [arguments[0], "s.yaml", *arguments[1:]], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_batch_of_more_rows_than_there_are_is_all_of_them(folder: Path) -> None:
    rows = []
    for size in ("full", "1000000000", str(HUGE)):
        done("run", "--workers", "0", "--fresh", "-o", f"batch_size={size}")
        runs, curves = (Path("results/s", name).read_text().splitlines() for name in ("runs.csv", "curves.csv"))
        assert len(runs) == 2
        rows.append([line.partition(",")[2] for line in curves])
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize("seconds", ["inf", "1e308"])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_time_limit_beyond_all_times_is_none(folder: Path, seconds: str, workers: str) -> None:
    """The system waits no longer than 2^31 milliseconds at a time."""
    assert "1 run in" in done("run", "--time-limit", seconds, "--workers", workers)


def test_rates_that_are_as_far_apart_as_numbers_can_be_are_trained_and_told(folder: Path) -> None:
    out = done("run", "--workers", "0", "-o", "learning_rate=1e-320,1e308", "-o", "precision=float64")
    assert "2 runs in" in out


@pytest.mark.parametrize("override", [f"seeds=[{HUGE}]", f"split_seed={HUGE}", f"base_width={HUGE}"])
def test_numbers_up_to_2_to_the_53_are_taken(folder: Path, override: str) -> None:
    done("run", "--workers", "0", "-o", override, "-o", "parametrization=mup")


# --- Memory and disk


def test_more_workers_than_the_memory_holds_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = planned(folder, "width: 64\nseeds: 100").runs
    monkeypatch.setattr(room, "memory", lambda: 500_000_000)
    check_memory(runs, 8)
    with pytest.raises(UsageError, match=r"100 workers with a run each need about 6.. GB, more than .*; lower --wor"):
        check_memory(runs, 256)
    check_memory(runs[:4], 256)  # no more are started than there are runs


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_command_compares_its_workers_with_the_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(room, "memory", lambda: 100_000_000)
    assert done(command, "-o", "seeds=2", "--workers", "2", code=2) == ""
    assert done(command, "-o", "seeds=2", "--workers", "0")


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """A disk with so many bytes free."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free, total=10**12))


@pytest.mark.parametrize("command", ["plan", "run"])
def test_results_that_do_not_fit_the_disk_are_refused_before_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    disk(monkeypatch, 10_000)
    text = ["-o", "seeds=30", "-o", "epochs=1000", "--workers", "0"]
    assert done(command, *text, code=3) == ""
    disk(monkeypatch, 10_000_000)
    assert done(command, *text[:2], "--workers", "0")


def test_what_is_said_of_a_full_disk_names_the_figures_and_the_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = make_stacks(planned(folder, "width: 64\nseeds: 100\nepochs: 20").runs, 1)
    free = disk_bytes(run for stack in stacks for run in stack.runs)
    disk(monkeypatch, free)
    check_disk(stacks, folder)
    disk(monkeypatch, free - 1)
    said = "the results of 100 runs need about 720 kB, but the disk of .* has 720 kB free; make room, lower epochs"
    with pytest.raises(StoreError, match=said):
        check_disk(stacks, folder / "not" / "there" / "yet")


def test_what_is_stored_already_needs_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done("run", "--workers", "0")
    disk(monkeypatch, 10)
    assert "1 run, none left to train" in done("run", "--workers", "0")


def test_a_disk_that_does_not_tell_its_size_is_not_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def untold(_: Path) -> None:
        raise OSError("not implemented")

    monkeypatch.setattr("shutil.disk_usage", untold)
    assert over_free_disk("it needs", 1e30, tmp_path) == ""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0, total=0))
    assert over_free_disk("it needs", 1e30, tmp_path) == ""


def test_a_file_in_the_place_of_results_is_told_by_plan(folder: Path) -> None:
    Path("taken").touch()
    for place in ("taken", "taken/within"):
        assert done("plan", "--results", place, "--workers", "0", code=3) == ""
