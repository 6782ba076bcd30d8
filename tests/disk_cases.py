"""Commands on a disk that fails: what they are, what they may leave behind, and how one is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults.disk import FAULTS, SOUND, Disk, Ended, Fault, copied
from search_cases import Broken, broken_at

from lrsweep import sweep
from lrsweep.search.work import Views
from lrsweep.store import DATABASE, NoResultsError, Store

TEXT = """\
dataset: iris
width: [4, 8]
optimizer: sgd
learning_rate: [0.1, 1000]
batch_size: full
epochs: 2
seeds: 1
"""
OTHER = TEXT.replace("[0.1, 1000]", "[0.1, 0.3]")
SEARCHING = TEXT.replace("[4, 8]", "4").replace("[0.1, 1000]", "{log: [0.01, 1], per_decade: 1}") + (
    "elimination: {screen: {subset: 0.5, epochs: 1, seeds: 1}, halving: {factor: 3, min: 1, guard: 0}}\nextend: true\n"
)

OWN = {"timings.csv", "provenance.json", ".lock", DATABASE, f"{DATABASE}-journal"}
"""Files that differ between executions of the same sweep."""

NOTHING_GOES = (FAULTS["broken"], FAULTS["read-only"])
"""Where nothing can be removed either."""

ANSWER = ("ranking.csv", "recommendation.json", "report.html")


HELD = (
    "SELECT * FROM meta",
    "SELECT position, run_id, settings FROM plan",
    "SELECT run_id, numerics, status, reason, settings, metrics, curve FROM runs ORDER BY run_id",
)
"""What a database holds but for times."""


@dataclass(frozen=True)
class Case:
    """A command, in a folder that holds the sweep file `text`, where `before` ran with the file `earlier`.

    What fails is what changes the folder `below`; with `own_cache` the cache of datasets is there as well.
    """

    arguments: str
    text: str = TEXT
    earlier: str = TEXT
    before: tuple[str, ...] = ()
    below: str = ""
    own_cache: bool = False

    def prepared(self, disk: Disk, folder: Path) -> Path:
        """The folder as the command finds it."""
        folder.mkdir()
        (folder / "small.yaml").write_text(self.earlier)
        for command in self.before:
            assert disk.run(*command.split(), cwd=folder).code == 0
        (folder / "small.yaml").write_text(self.text)
        return folder

    def run(self, disk: Disk, folder: Path, fault: Fault = SOUND, at: int = 0) -> Ended:
        """The command once."""
        below, cache = folder / self.below, folder / "cache" if self.own_cache else None
        return disk.run(*self.arguments.split(), cwd=folder, below=below, fault=fault, at=at, cache=cache)


RUN = "run small.yaml --workers 0"

CASES = {
    "run": Case(RUN),
    "run a changed sweep": Case(RUN, text=OTHER, before=(RUN, "report --html --quiet")),
    "run a search": Case(RUN, text=SEARCHING),
    "run a finished sweep": Case(RUN, before=(RUN,)),
    "run afresh": Case(f"{RUN} --fresh", before=(RUN,)),
    "report": Case("report small --html", before=(RUN,)),
    "find": Case("find small.yaml --steps 20 --no-confirm --write grid.yaml"),
    "init": Case("init sweep.yaml"),
    "cache": Case("plan small.yaml --workers 0", below="cache", own_cache=True),
}


@dataclass
class Trial:
    """A case with all that its files may be: as they were before, as they are in the end, and at every moment between
    that the command itself would leave behind if it was ended there.

    What was left behind is known by all that the next command reads of it, once a journal is rolled back. Unless the
    trial is `thorough`, the same command goes on from the same state only once, and from every journal that is left.
    """

    case: Case
    disk: Disk
    start: Path
    final: Path
    operations: int
    thorough: bool = False
    whole: dict[str, set[bytes]] = field(default_factory=dict)
    seen: set[object] = field(default_factory=set)

    @classmethod
    def of(cls, case: Case, disk: Disk, folder: Path, patch: pytest.MonkeyPatch, thorough: bool = False) -> Trial:
        """Made by running the case undisturbed, and ended before each of its transactions."""
        start = case.prepared(disk, folder / "start")
        final = copied(start, folder / "final")
        ended = case.run(disk, final)
        assert ended.code == 0, ended.err
        trial = cls(case, disk, start, final, ended.count, thorough)
        for one in (start, final, *moments(case, start, folder / "moment", patch)):
            for name, content in (contents(one) if isinstance(one, Path) else one).items():
                trial.whole.setdefault(name, set()).add(content)
        return trial

    def at(self, number: int, fault: Fault, folder: Path) -> Ended:
        """The case with a fault: what it leaves behind is whole and complete, and the same command ends it."""
        copied(self.start, folder)
        ended = self.case.run(self.disk, folder, fault, number)
        said = f"operation {number} of {self.operations} ({ended.name}): {ended}"
        if fault.kills:
            assert ended.code == -9, said
        else:
            check_told(ended, said)
            assert fault in NOTHING_GOES or not [*folder.rglob(".*.tmp")], said
        look = copied(folder, folder.with_name("look"))  # since a reader rolls back a journal
        self.check_left(look, ended, said)
        journal = any(path.stat().st_size for path in folder.rglob(f"{DATABASE}-journal"))
        state = state_of(look)
        if self.thorough or journal or state not in self.seen:
            self.check_same_again(folder, said)
            if not journal:
                self.seen.add(state)
        return ended

    def check_same_again(self, folder: Path, said: str) -> None:
        """The same command ends what was begun, with the same files."""
        again = self.case.run(self.disk, folder)
        writes = "init" in self.case.arguments or "--write" in self.case.arguments
        done = writes and "exists already" in again.err  # it was killed after its work
        assert again.code == (2 if done else 0), f"{said}\nthen {again}"
        self.check_final(folder, said)

    def check_left(self, folder: Path, ended: Ended, said: str) -> None:
        """No file is torn, no answer stands that does not hold, no run is lost that was stored."""
        for name, content in contents(folder).items():
            assert content in self.whole.get(name, ()), f"{said}: {name} is {content!r}"
        for path in folder.rglob("provenance.json"):
            json.loads(path.read_bytes())
        for path in folder.rglob("timings.csv"):
            header, *rows = path.read_text().splitlines(keepends=True)
            assert all(row.count(",") == header.count(",") and row.endswith("\n") for row in rows), said
        kept = stored(folder)
        assert {*ended.stored} <= kept.keys(), f"{said}: lost of {kept}"
        for path in (path for name in ANSWER for path in folder.rglob(name)):
            place = path.relative_to(folder)
            like = [
                stored(one)
                for one in (self.start, self.final)
                if (one / place).exists() and (one / place).read_bytes() == path.read_bytes()
            ]
            assert path.parent != folder / "results" / "small" or kept in like, f"{said}: {place} is old"

    def check_final(self, folder: Path, said: str) -> None:
        """The files are those of the undisturbed command."""
        if "--fresh" not in self.case.arguments:  # the second one sets aside what the first one had begun
            assert contents(folder) == contents(self.final), said
            assert names(folder) == names(self.final), said
        else:
            fresh, kept = contents(folder), contents(self.final)
            assert {name: fresh.get(name) for name in kept} == kept, said


def check_told(ended: Ended, said: str) -> None:
    """A command that failed says so in one line, with what is safe and what to do; or it did its work all the same."""
    assert "Traceback" not in ended.err, said
    assert "--debug" not in ended.err, said
    assert ended.code in (0, 3), said
    lines = [line for line in ended.err.splitlines() if line.startswith("lrsweep: ")]
    if ended.code == 3:
        assert len(lines) == 1, said
        of_results = "results/" in lines[0] or "/cache" in lines[0]  # else nothing is told of runs
        assert ("safe" in lines[0]) is of_results, said
        assert lines[0].count("; ") >= 1 + of_results, said
        assert ended.err.endswith(f"{lines[0]}\n"), said
        assert not ended.out, said


def moments(case: Case, start: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, bytes]]:
    """What `run` leaves behind that is ended before its first transaction, its second, and so on."""
    found: list[Mapping[str, bytes]] = []
    monkeypatch.setattr(Views, "refresh", lambda _: None)  # as in the driver
    while case.arguments.startswith("run"):
        copied(start, folder)
        try:
            with broken_at(len(found) + 1, monkeypatch):
                sweep.run(
                    folder / "small.yaml", results=folder / "results", workers=0, fresh="--fresh" in case.arguments
                )
        except Broken:
            found.append(contents(folder))
        else:
            break
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """The files that only depend on what was done, by their path."""
    return {name: (folder / name).read_bytes() for name in names(folder) if Path(name).name not in OWN}


def names(folder: Path) -> set[str]:
    """The files below a folder, but those in the making."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in files if not path.name.endswith(".tmp") and not scratch(path)}


def scratch(path: Path) -> bool:
    """Whether a file of the cache is in the making, or the journal that a killed process left."""
    return path.name.startswith(".") and "cache" in path.parts and path.name != ".lock"


def state_of(folder: Path) -> object:
    """All that a command reads of a folder."""
    held = []
    for path in sorted(folder.glob(f"results/**/{DATABASE}")):
        with suppress(NoResultsError), Store.open(path.parent) as store:
            held.append((str(path.relative_to(folder)), *(tuple(store._database.execute(query)) for query in HELD)))
    return tuple(sorted(contents(folder).items())), tuple(sorted(names(folder))), tuple(held)


def stored(folder: Path) -> dict[str, str]:
    """The status of each run, by the name of its folder and its own; the database opens, and is sound."""
    found = {}
    for path in folder.glob(f"results/**/{DATABASE}"):
        if ".bak-" in str(path):
            continue
        with suppress(NoResultsError), Store.open(path.parent) as store:
            [checked] = store._database.execute("PRAGMA integrity_check").fetchone()
            assert checked == "ok"
            found |= {f"{path.parent.name}/{run_id}": status for run_id, status in store.statuses().items()}
    return found
