"""Who may write a results folder: one process at a time, whatever happens to the folder and to the process."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from soon import slowness
from waiting import wait_until

from lrsweep import early, finding, sweep
from lrsweep.store import DATABASE, Hold, Store, hold
from lrsweep.store.folder import next_backup
from lrsweep.vocabulary import CURVE_COLUMNS, BusyError, Outcome, SpecError, StoreError

TEXT = "{dataset: iris, width: 4, learning_rate: [0.01, 0.1], epochs: 2, seeds: 2}"
LONG = TEXT.replace("epochs: 2", "epochs: 200000")
"""A minute or more, where all that is done meanwhile takes some seconds."""

HELD = re.compile(r"is already being written by pid (\d+) on host \S+ since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ; ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder, not yet made."""
    return tmp_path / "results" / "small"


def spec_of(folder: Path, text: str = TEXT) -> Path:
    """A sweep file whose results folder is the given one, if it is run beside that."""
    path = folder.parent.parent / f"{folder.name}.yaml"
    path.write_text(text)
    return path


def command(spec: Path, *arguments: str, name: str = "run") -> list[str]:
    """A command line on a sweep beside its results."""
    return [sys.executable, "-m", "lrsweep", name, str(spec), "--results", str(spec.parent / "results"), *arguments]


def test_a_held_folder_is_refused_and_its_holder_named(folder: Path) -> None:
    with Hold(folder), pytest.raises(BusyError) as refused:
        Hold(folder)
    found = HELD.search(str(refused.value))
    assert found
    assert int(found[1]) == os.getpid()


def test_a_folder_is_free_after_its_hold(folder: Path) -> None:
    folder.mkdir(parents=True)
    for _ in range(2):
        with Hold(folder):
            pass
    assert folder.exists()


def test_a_hold_on_a_store_is_not_ended_by_the_store(folder: Path) -> None:
    with Hold(folder) as held:
        with Store.create(folder, held):
            pass
        with pytest.raises(BusyError):
            Hold(folder)


def test_a_holder_that_has_not_said_who_it_is_gets_a_moment_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between taking the lock and writing the name into it, another process may look."""
    folder.mkdir(parents=True)
    with (folder / hold.LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr(hold.time, "sleep", lambda _: (file.write("pid 7"), file.flush()))
        with pytest.raises(BusyError, match="written by pid 7"):
            Hold(folder)


def test_a_holder_that_never_says_who_it_is_is_another_process(folder: Path) -> None:
    folder.mkdir(parents=True)
    with (folder / hold.LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="written by another process"):
            Hold(folder)


def test_a_folder_that_is_renamed_while_its_lock_is_taken_is_not_mistaken_for_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `--fresh` does: the lock that was opened before is the old folder's, which is somebody's backup by now."""
    folder.mkdir(parents=True)
    moved, real = folder.with_name("moved"), fcntl.flock

    def rename_first(*arguments: object) -> None:
        if not moved.exists():
            folder.rename(moved)
            folder.mkdir()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hold.fcntl, "flock", rename_first)
    with Hold(folder):
        monkeypatch.undo()
        Hold(moved).__exit__()
        with pytest.raises(BusyError):
            Hold(folder)


def test_a_folder_that_goes_while_its_lock_is_taken_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    real = fcntl.flock

    def remove_first(*arguments: object) -> None:
        monkeypatch.undo()
        (folder / hold.LOCK).unlink()
        folder.rmdir()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(hold.fcntl, "flock", remove_first)
    with Hold(folder), pytest.raises(BusyError):
        Hold(folder)


def test_an_old_folder_is_set_aside_under_the_first_free_name_and_the_new_one_is_held(folder: Path) -> None:
    folder.mkdir(parents=True)
    next_backup(folder).mkdir()
    (folder / "kept").write_text("old")
    with Hold(folder) as held:
        kept = held.set_aside()
        assert [path.name for path in folder.iterdir()] == [hold.LOCK]
        with pytest.raises(BusyError):
            Hold(folder)
    assert (kept.name, (kept / "kept").read_text()) == ("small.bak-2", "old")


def test_who_loses_the_folder_after_setting_the_old_one_aside_leaves_the_new_one_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    others = []

    def taken_first(path: Path) -> object:
        monkeypatch.undo()
        others.append(Hold(folder))
        return hold.lock(path)

    with Hold(folder) as held:
        monkeypatch.setattr(hold, "lock", taken_first)
        with pytest.raises(BusyError):
            held.set_aside()
    with pytest.raises(BusyError):
        Hold(folder)
    others[0].__exit__()
    assert folder.with_name("small.bak-1").exists()


def test_a_link_to_another_disk_goes_on_leading_there_when_what_it_names_is_set_aside(folder: Path) -> None:
    there = folder.parent.parent / "disk" / "there"
    there.mkdir(parents=True)
    folder.parent.mkdir()
    folder.symlink_to(there)
    (folder / "kept").write_text("old")
    with Hold(folder) as held:
        kept = held.set_aside()
        (folder / "new").touch()
    assert (kept, (kept / "kept").read_text()) == (there.with_name("there.bak-1"), "old")
    assert folder.is_symlink()
    assert sorted(path.name for path in there.iterdir()) == [hold.LOCK, "new"]


def full(*_: object, **__: object) -> None:
    """As a disk without room has it."""
    raise OSError(errno.ENOSPC, "no space")


@pytest.mark.parametrize("lacking", ["pathlib.Path.mkdir", "lrsweep.store.hold.platform.node"])
@pytest.mark.parametrize("linked", [False, True])
def test_an_old_folder_gets_its_name_back_where_there_can_be_no_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, linked: bool, lacking: str
) -> None:
    """A full disk takes no folder, or no word in its lock: the same command would start anew or be refused for ever."""
    there = folder.parent.parent / "disk" / "there" if linked else folder
    there.mkdir(parents=True)
    if linked:
        folder.parent.mkdir()
        folder.symlink_to(there)
    (folder / "kept").write_text("old")

    with Hold(folder) as held:
        monkeypatch.setattr(lacking, full)
        with pytest.raises(StoreError, match="no space is left there"):
            held.set_aside()
        monkeypatch.undo()
    assert (folder.is_symlink(), (folder / "kept").read_text()) == (linked, "old")
    assert [path.name for path in there.parent.iterdir()] == [there.name]


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_into_what_came_in_the_place_of_a_folder(folder: Path, replaced: bool) -> None:
    moved = folder.with_name("moved")
    with Store.create(folder) as store:
        store.set_plan([("r0", {"width": 4})], {})
        folder.rename(moved)
        if replaced:
            sweep.run(spec_of(folder), results=folder.parent, workers=0)
            (folder / "elimination.csv").touch()
        before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
        for write in (
            lambda: store.set_plan([], {}),
            lambda: store.set_decisions([{"rung": 1}]),
            lambda: store.write_views(),
            lambda: store.write_answer({}, {}),
        ):
            with pytest.raises(StoreError, match="renamed or removed while it was written; finished runs are safe"):
                write()
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before


def test_a_folder_that_was_renamed_leaves_the_journal_of_what_came_in_its_place(folder: Path) -> None:
    """To SQLite it looks like its own, of a writer that was killed: it would play it back, and remove it."""
    outcome = Outcome("r0", "finished", "", {}, np.zeros((5000, len(CURVE_COLUMNS))))
    journal = folder / f"{DATABASE}-journal"
    with Store.create(folder) as store:
        store.set_plan([("r0", {"width": 4})], {})
        folder.rename(folder.with_name("moved"))
        with Store.create(folder) as other:
            other.set_plan([("r0", {"width": 4})], {})
            other._database.executescript("PRAGMA cache_size = 10; PRAGMA cache_spill = 10")
            with other._transaction():
                other._database.execute("UPDATE meta SET value = ?", [outcome.curve.tobytes()])
                assert journal.read_bytes()[:1] != b"\0"
                for write in (lambda: store.add([outcome]), store.write_views):
                    with pytest.raises(StoreError, match="renamed or removed while it was written"):
                        write()
                assert journal.exists()


def test_a_lock_that_cannot_be_taken_again_is_told_each_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.create(folder) as store:
        (folder / hold.LOCK).unlink()
        monkeypatch.setattr("pathlib.Path.mkdir", full)
        for _ in range(2):
            with pytest.raises(StoreError, match="no space is left there"):
                store.set_plan([], {})


def test_a_lock_that_somebody_removed_is_taken_again(folder: Path) -> None:
    with Store.create(folder) as store:
        (folder / hold.LOCK).unlink()
        store.set_plan([("r0", {"width": 4})], {})
        with pytest.raises(BusyError):
            Hold(folder)
        store.write_views()
    with Hold(folder):
        pass


def test_who_lost_a_folder_by_its_lock_to_another_writes_no_more(folder: Path) -> None:
    with Store.create(folder) as store:
        (folder / hold.LOCK).unlink()
        with Store.create(folder) as other:
            other.set_plan([("r0", {"width": 4})], {})
            with pytest.raises(BusyError, match=r"taken by another process, since its \.lock was removed"):
                store.set_plan([], {})
            with pytest.raises(BusyError):
                store.write_views()
            assert other.counts()["new"] == 1


def test_who_made_a_folder_that_was_moved_away_leaves_alone_what_is_there_by_its_end(folder: Path) -> None:
    """Another's folder, which holds nothing yet but a lock: without that, a third could take it too."""
    with Hold(folder):
        folder.rename(folder.with_name("moved"))
        other = Hold(folder)
    with other, pytest.raises(BusyError):
        Hold(folder)


def test_a_folder_made_for_nothing_goes_again(folder: Path) -> None:
    with pytest.raises(SpecError):
        sweep.run(
            spec_of(folder, "{dataset: diabetes, learning_rate: 0.1, objective: val_accuracy}"), results=folder.parent
        )
    assert not folder.parent.exists()


def test_a_folder_that_was_there_stays(folder: Path) -> None:
    folder.mkdir(parents=True)
    with Hold(folder):
        pass
    assert folder.exists()


# The same sweep, started more than once


Ended = dict[int, tuple[int, float, str]]
"""Of a process that ended by itself, by its id: its exit code, seconds of processor time, and what it said."""


@contextmanager
def at_once(spec: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Ended]]:
    """The command, eight times at once: the one that goes on, and what became of the others."""
    with ExitStack() as opened:
        started = {}
        for number in range(8):
            said = spec.with_name(f"said-{number}")
            file = opened.enter_context(said.open("wb"))
            process = subprocess.Popen(command(spec, *arguments), stderr=file, stdout=subprocess.DEVNULL)
            started[opened.enter_context(process).pid] = process, said
            opened.callback(process.kill)
        ended: Ended = {}

        def all_but_one() -> bool:
            for pid in started.keys() - ended.keys():
                found, status, usage = os.wait4(pid, os.WNOHANG)
                if found:
                    process, said = started[pid]
                    process.returncode = os.waitstatus_to_exitcode(status)
                    ended[pid] = process.returncode, usage.ru_utime + usage.ru_stime, said.read_text()
            return len(ended) >= 7

        wait_until(all_but_one, 300)
        [owner] = [process for pid, (process, _) in started.items() if pid not in ended]
        yield owner, ended


def assert_all_but_one_are_refused(owner: subprocess.Popen[bytes], ended: Ended) -> None:
    """Seven say who has the folder. They are to end within a second; how long that takes on how many processors is
    the machine's affair, so it is their own time that counts here, and of the one that was disturbed the least."""
    assert owner.poll() is None
    assert min(seconds for _, seconds, _ in ended.values()) < slowness()
    for code, _, said in ended.values():
        found = HELD.search(said)
        assert code == BusyError.exit_code, said
        assert found
        assert int(found[1]) == owner.pid
        assert len(said.splitlines()) == 1


def test_of_eight_sweeps_at_once_one_runs_and_its_death_frees_the_folder(folder: Path) -> None:
    with at_once(spec_of(folder, LONG)) as (owner, ended):
        assert_all_but_one_are_refused(owner, ended)
        owner.kill()
        owner.wait()
        with Hold(folder):
            pass


def test_of_eight_sweeps_at_once_that_start_afresh_one_runs_and_nothing_is_lost(folder: Path) -> None:
    spec = spec_of(folder)
    sweep.run(spec, results=folder.parent, workers=0)
    before = (folder / DATABASE).read_bytes()
    spec.write_text(LONG)
    with at_once(spec, "--fresh") as (owner, ended):
        assert_all_but_one_are_refused(owner, ended)
        made = (folder / "spec.yaml", folder.with_name("small.bak-1"))
        wait_until(lambda: owner.poll() is not None or all(path.exists() for path in made), 300)
        assert owner.poll() is None
    assert sorted(path.name for path in folder.parent.iterdir()) == ["small", "small.bak-1"]
    assert (folder.with_name("small.bak-1") / DATABASE).read_bytes() == before


def test_a_second_sweep_is_refused_before_anything_heavy_is_imported(folder: Path) -> None:
    """The imports take twice as long as the rest of the command."""
    spec = spec_of(folder)
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from lrsweep.cli import app; app()"
    with Hold(folder):
        done = subprocess.run(
            [sys.executable, "-c", code, *command(spec)[3:]], capture_output=True, text=True, check=False
        )
    assert done.returncode == BusyError.exit_code
    assert not {"numpy", "pandas", "lrsweep.spec", "lrsweep.sweep"} & {*done.stdout.split()}


@pytest.mark.parametrize(
    ("text", "overrides", "name"),
    [
        (TEXT, [], "small"),
        (TEXT.replace("{", "{name: other, "), [], "other"),
        (TEXT, ["width=4", "name=third"], "third"),
    ],
)
def test_the_folder_that_is_held_early_is_the_sweeps(folder: Path, text: str, overrides: list[str], name: str) -> None:
    with early.held(spec_of(folder, text), overrides, folder.parent) as held:
        assert held
        assert held.folder == folder.with_name(name)


@pytest.mark.parametrize("text", ["{name: ..}", "{name: ../up}", "{name: [a]}", "{name: Big}", "[", "\0"])
def test_nothing_stays_of_a_file_with_a_mistake(folder: Path, text: str) -> None:
    spec = spec_of(folder, text)
    with early.held(spec, [], folder.parent):
        pass
    assert [*spec.parent.rglob("*")] == [spec]


STRESS = """
import signal, sys
from pathlib import Path
from lrsweep.store import Hold
from lrsweep.vocabulary import BusyError
signal.alarm(600)
folder, number, done = Path(sys.argv[1]), sys.argv[2], 0
while done < 40:
    try:
        with Hold(folder) as held:
            with (folder / "alone").open("x"):
                (folder / f"{number}-{done}").touch()
            (folder / "alone").unlink()
            done += 1
            if done % 2:
                held.set_aside()
    except BusyError:
        pass
"""
"""Takes the folder 40 times, leaves a file each time, and sets it aside every other time; for ten minutes at most."""


def test_processes_that_set_a_folder_aside_at_once_never_meet_in_it_and_lose_nothing(folder: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", STRESS, str(folder), str(number)]) for number in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    found = [path.name for path in folder.parent.glob("*/*-*")]
    assert sorted(found) == sorted(f"{number}-{done}" for number in range(4) for done in range(40))


def test_a_sweep_that_runs_can_be_looked_at(folder: Path) -> None:
    """`plan`, `report` and `find` need no hold on the folder."""
    spec = spec_of(folder, LONG)
    with subprocess.Popen(command(spec), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as running:
        try:
            wait_until(lambda: running.poll() is not None or (folder / "spec.yaml").exists(), 300)
            assert running.poll() is None
            assert sweep.plan(spec, results=folder.parent, workers=1).counts()["new"] == 4
            assert sweep.report("small", results=folder.parent).counts["new"] == 4
            finding.find(spec, results=folder.parent, confirm=False, steps=20)
            assert (folder / "ranges.csv").exists()
            assert running.poll() is None
        finally:
            running.kill()
