"""The disk: whatever operation on it fails, and however, nothing stored is lost, nothing torn is left, and the same
command goes on; and a results folder that cannot be written is refused before anything is trained."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import cycle
from pathlib import Path

import pytest
from disk_cases import CASES, RUN, TEXT, Trial
from faults.disk import FAULTS, Disk, compiled

from lrsweep import sweep
from lrsweep.finding import find
from lrsweep.vocabulary import StoreError

NEEDED = "needs Linux and a C compiler, with which it makes a disk fail"
needs_faults = pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason=NEEDED)

MAIN = ("full", "error", "killed inside")
"""What is tried at every operation of a sweep; other faults and commands at some of them, and all by `make soak`."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """A disk that fails when it is told, beneath commands with everything imported."""
    folder = tmp_path_factory.mktemp("disk")
    (folder / "small.yaml").write_text(TEXT)
    made = Disk(compiled(folder), folder, folder / "cache")
    for arguments in (
        "run small.yaml --workers 0 --html",
        "find small.yaml --steps 20 --write new.yaml",
        "init other.yaml",
    ):
        assert made.warm(*arguments.split(), cwd=folder) == 0
    yield made
    made.close()


@pytest.fixture(scope="module")
def trial_of(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trial]:
    """What is known of a case, found out once."""

    @cache
    def found(name: str) -> Trial:
        with pytest.MonkeyPatch.context() as patch:
            return Trial.of(CASES[name], disk, tmp_path_factory.mktemp("case"), patch)

    return found


def tried(trial: Trial, faults: Sequence[str], step: int, folder: Path, first: int = 1) -> Counter[int]:
    """A case with the faults in turn at every `step`-th operation; how often it ended with which exit code."""
    codes: Counter[int] = Counter()
    for number, fault in zip(range(first, trial.operations + 1, step), cycle(faults)):
        ended = trial.at(number, FAULTS[fault], folder / "tried")
        codes[ended.code] += 1
        if ended.code == 0:
            print(f"went on after operation {number}, {ended.name}, {fault}")
    what = f"{trial.operations} operations of {trial.case.arguments}"
    print(f"{codes.total()} faults tried ({', '.join(faults)}) at {what}: exit codes {dict(codes)}")
    return codes


@needs_faults
@pytest.mark.parametrize("fault", MAIN)
def test_a_sweep_survives_a_fault_at_every_operation(
    trial_of: Callable[[str], Trial], tmp_path: Path, fault: str
) -> None:
    codes = tried(trial_of("run"), [fault], 1, tmp_path)
    assert codes.total() > 100
    # A single error is survived in the six operations by which the folder is taken, which is tried twice, and where
    # SQLite syncs the folder of a new journal, of which there are four, which only matters when the power fails.
    assert codes[0] <= 10 * (fault == "error")


STEPS = {"run": 19, "run a changed sweep": 5, "run a search": 17, "run afresh": 7}
"""So many operations from one that is tried to the next, where these are many; no multiple of the number of faults."""


@needs_faults
@pytest.mark.parametrize("name", CASES)
def test_every_command_survives_every_fault_in_turn(
    trial_of: Callable[[str], Trial], tmp_path: Path, name: str
) -> None:
    tried(trial_of(name), [*FAULTS], STEPS.get(name, 1), tmp_path)


SPARSE = {"run a search": 3}
"""The like for `make soak`, where each fault begins at another operation. All of it takes two processors a quarter of
an hour: 5,700 trials of a quarter of a second each. The rest of the search would take half as long again."""


@needs_faults
@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CASES)
def test_every_command_survives_every_fault_at_every_operation(
    trial_of: Callable[[str], Trial], tmp_path: Path, name: str, fault: str
) -> None:
    step = SPARSE.get(name, 1)
    tried(replace(trial_of(name), thorough=True), [fault], step, tmp_path, 1 + [*FAULTS].index(fault) % step)


# Ctrl-C on a disk that is full


@needs_faults
@pytest.mark.parametrize("fault", ["full", "broken"])
def test_ctrl_c_on_a_disk_that_fails_is_still_ctrl_c_and_tells_both(disk: Disk, tmp_path: Path, fault: str) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    ended = disk.run(*RUN.split(), cwd=tmp_path, fault=FAULTS[fault], interrupted=True)
    assert ended.code == 130, ended
    *_, disk_said, last = ended.err.splitlines()
    assert disk_said.startswith("lrsweep: results/small/runs.csv")
    assert last == "stopped: finished runs are kept; the same command goes on"
    assert len(ended.stored) == 2
    assert disk.run(*RUN.split(), cwd=tmp_path).code == 0


# Results folders that cannot be written

NOBODY = 65534


def a_file(path: Path) -> None:
    path.touch()


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def a_pipe(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def looping(path: Path) -> None:
    path.symlink_to(path.name)


WRONG = {
    "results is a file": ("results", a_file),
    "results is a dangling link": ("results", dangling),
    "results is a loop of links": ("results", looping),
    "the folder is a pipe": ("results/small", a_pipe),
    "the database is a folder": ("results/small/sweep.db", a_folder),
    "the database is a pipe": ("results/small/sweep.db", a_pipe),
    "its journal is a folder": ("results/small/sweep.db-journal", a_folder),
    "the lock is a folder": ("results/small/.lock", a_folder),
    "the lock is a pipe": ("results/small/.lock", a_pipe),
    "a view is a folder": ("results/small/curves.csv", a_folder),
    "the answer is a folder": ("results/small/recommendation.json", a_folder),
    "the page is a folder": ("results/small/report.html", a_folder),
}
"""What is where, and must not be."""


@needs_faults
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_in_the_way_is_told_before_data_are_loaded(disk: Disk, tmp_path: Path, wrong: str) -> None:
    name, make = WRONG[wrong]
    make(tmp_path / name)
    refused(disk, tmp_path, RUN, name, "; .*remove")


@needs_faults
@pytest.mark.parametrize("name", ["results", "results/small", "results/small/ranges.csv"])
def test_find_tells_what_is_in_the_way_before_data_are_loaded(disk: Disk, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    looping(tmp_path / name)
    refused(disk, tmp_path, "find small.yaml", name, "; .*remove")


FORBIDDEN = {
    "nothing can be made in results": ("results", 0o555),
    "results cannot be entered": ("results", 0o666),
    "nothing can be made in the folder": ("results/small", 0o555),
    "the folder cannot be entered": ("results/small", 0o000),
    "the database cannot be written": ("results/small/sweep.db", 0o444),
    "the database cannot be read": ("results/small/sweep.db", 0o000),
    "the lock cannot be written": ("results/small/.lock", 0o444),
}
"""What has which permissions."""

ASKED = [
    (command, forbidden)
    for forbidden, (name, _) in FORBIDDEN.items()
    for command in (RUN, f"{RUN} --fresh", "find small.yaml")
    if command == RUN or name == "results" or (name == "results/small" and command.startswith("find"))
]
"""`--fresh` renames the folder, and `find` does not open the files of a sweep."""


@needs_faults
@pytest.mark.parametrize(("command", "forbidden"), ASKED)
def test_what_is_not_permitted_is_told_before_data_are_loaded(
    disk: Disk, tmp_path: Path, forbidden: str, command: str
) -> None:
    """In a child that is nobody where the tests are run by root, whom nothing is forbidden."""
    name, mode = FORBIDDEN[forbidden]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix or path.name == ".lock":
        path.touch()
    else:
        path.mkdir()
    for place in (tmp_path, *path.parents[: len(Path(name).parts)]):
        place.chmod(0o777)
    path.chmod(mode)
    try:
        refused(disk, tmp_path, command, "results", "; change its permissions, or name another folder", NOBODY)
    finally:
        path.chmod(0o777)


def refused(disk: Disk, folder: Path, command: str, place: str, said: str, user: int = 0) -> None:
    """A command ends with exit code 3 and a line on `place`; it has made nothing, and read no data."""
    (folder / "small.yaml").write_text(TEXT)
    before = {*folder.rglob("*")} - {folder / "results" / "small" / ".lock"}
    ended = disk.run(*command.split(), cwd=folder, cache=folder / "cache", user=user if os.getuid() == 0 else 0)
    assert (ended.code, ended.out) == (3, ""), ended
    assert re.fullmatch(rf"lrsweep: {re.escape(place)}.*{said}.*\n", ended.err), ended
    assert {*folder.rglob("*")} - {folder / "results" / "small" / ".lock"} == before


@needs_faults
@pytest.mark.parametrize("command", [RUN, "find small.yaml"])
def test_a_name_that_is_too_long_is_told(disk: Disk, tmp_path: Path, command: str) -> None:
    refused(disk, tmp_path, f"{command} --results {'x' * 300}", "x" * 300, "too long .*; shorten it")


@pytest.mark.parametrize("function", [sweep.run, find])
def test_a_folder_with_nul_in_its_name_is_told(tmp_path: Path, function: Callable[..., object]) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    with pytest.raises(StoreError, match=r"'a\\x00b/small' holds the character NUL"):
        function(tmp_path / "small.yaml", results="a\0b")


@needs_faults
@pytest.mark.parametrize("name", ["two\nlines", "a \udcff", "ünï", "-", "$(x)", "a'b\"c?#%41"])
def test_odd_names_are_as_good_as_any(disk: Disk, tmp_path: Path, name: str) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    for command in (RUN, "report small --html", "find small.yaml"):
        ended = disk.run(*command.split(), "--results", name, cwd=tmp_path)
        assert ended.code == 0, ended
    assert (tmp_path / name / "small" / "report.html").exists()


@needs_faults
def test_a_name_of_two_lines_is_told_in_one(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    (tmp_path / "two\nlines").touch()
    ended = disk.run(*RUN.split(), "--results", "two\nlines", cwd=tmp_path)
    assert (ended.code, ended.err.count("\n")) == (3, 1), ended


@needs_faults
@pytest.mark.parametrize("name", ["results", "results/small", "results/small/sweep.db"])
@pytest.mark.parametrize("command", ["plan small.yaml", "report small", "report"])
def test_results_that_cannot_be_read_are_told(disk: Disk, tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    own = Path("cache")
    assert disk.run(*RUN.split(), cwd=tmp_path, cache=own).code == 0
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o777)
    (tmp_path / name).chmod(0)
    try:
        ended = disk.run(*command.split(), cwd=tmp_path, cache=own, user=NOBODY if os.getuid() == 0 else 0)
    finally:
        (tmp_path / name).chmod(0o777)
    assert (ended.code, ended.out, ended.err.count("\n")) == (3, "", 1), ended
    assert ended.err.startswith("lrsweep: results"), ended
    assert "--debug" not in ended.err


# Files elsewhere


@needs_faults
@pytest.mark.parametrize("command", ["init made", "find small.yaml --no-confirm --write made"])
@pytest.mark.parametrize("fault", ["full", "error", "broken", "read-only"])
def test_a_new_file_is_whole_or_not_there_and_its_place_stays_free(
    disk: Disk, tmp_path: Path, command: str, fault: str
) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    (tmp_path / "to").mkdir()
    command = command.replace("made", "to/made")
    sound = disk.run(*command.split(), cwd=tmp_path, below=tmp_path / "to")
    made = (tmp_path / "to/made").read_bytes()
    (tmp_path / "to/made").unlink()
    assert sound.code == 0
    for number in range(1, sound.count + 1):
        ended = disk.run(*command.split(), cwd=tmp_path, below=tmp_path / "to", fault=FAULTS[fault], at=number)
        assert (ended.code, ended.err.count("lrsweep: ")) == (3, 1), ended
        assert re.search(r"lrsweep: to/made.*; .*\n$", ended.err), ended
        assert all(path.read_bytes() == made for path in (tmp_path / "to").iterdir() if path.suffix != ".tmp"), ended
        if fault in ("full", "error"):  # on others nothing can be removed
            assert [*(tmp_path / "to").iterdir()] == [], ended
        shutil.rmtree(tmp_path / "to")
        (tmp_path / "to").mkdir()


@needs_faults
@pytest.mark.parametrize("fault", ["full", "error", "broken", "read-only", "killed inside"])
def test_a_page_elsewhere_is_the_old_or_the_new_one(disk: Disk, tmp_path: Path, fault: str) -> None:
    (tmp_path / "small.yaml").write_text(TEXT)
    (tmp_path / "to").mkdir()
    page, command = tmp_path / "to" / "page.html", ["report", "small", "--output", "to/page.html"]
    assert disk.run(*RUN.split(), cwd=tmp_path).code == 0
    sound = disk.run(*command, cwd=tmp_path, below=tmp_path / "to")
    new = page.read_bytes()
    for number in range(1, sound.count + 1):
        page.write_text("old")
        ended = disk.run(*command, cwd=tmp_path, below=tmp_path / "to", fault=FAULTS[fault], at=number)
        assert ended.code == (-9 if FAULTS[fault].kills else 3), ended
        assert page.read_bytes() in (b"old", new)


def test_a_limit_on_the_size_of_files_is_told(tmp_path: Path) -> None:
    """With 8 kB a database can be begun but not filled."""
    (tmp_path / "small.yaml").write_text(TEXT)
    arguments = [sys.executable, "-m", "lrsweep", *RUN.split()]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))

    run = partial(subprocess.run, arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    done = run(preexec_fn=limit)
    assert done.returncode == 3
    assert re.fullmatch(r"lrsweep: .* cannot be written.*; finished runs are safe; .*\(ulimit -f\)\n", done.stderr), (
        done
    )
    assert run().returncode == 0
