"""The search of a sweep whose file changes, and rates that are added: nothing is thrown away, nothing done twice."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from search_cases import NARROW, SEARCHES, TEXT, Broken, broken_at, course, rows_by_id, run, samples_of, table, views

from lrsweep import sweep
from lrsweep.analysis.elimination import Decision, Trial
from lrsweep.execute import training
from lrsweep.live import View
from lrsweep.search import Known, stages
from lrsweep.store import DATABASE, Store

HALVING = SEARCHES["epochs"]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep of 44 runs on iris, some of which diverge."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


# The course changes


def test_without_elimination_what_was_stopped_is_trained_in_full(spec: Path) -> None:
    usual = views(run(spec, "a").folder)
    halved = run(spec, "b", overrides=SEARCHES["both"])
    stopped = halved.answer.counts["stopped"]
    counts = sweep.plan(spec, results=spec.parent / "b", workers=0).counts()
    assert counts == {"done": 44 - stopped, "new": stopped, "stale": 0, "failed": 0}
    whole = run(spec, "b")
    assert (whole.trained, views(whole.folder)) == (stopped, usual | samples_of(whole.folder))


def test_what_an_earlier_elimination_stopped_is_new_until_it_is_trained(spec: Path) -> None:
    stopped = run(spec, overrides=HALVING).answer.counts["stopped"]
    counts = run(spec, time_limit=0).answer.counts
    assert (counts["new"], counts["stopped"]) == (stopped, 0)


def test_a_weaker_elimination_trains_what_it_keeps(spec: Path) -> None:
    weak = ["elimination={halving: {min: 3, guard: 2}}"]
    usual = views(run(spec, "a", overrides=weak).folder)
    run(spec, "b", overrides=HALVING)
    assert views(run(spec, "b", overrides=weak).folder) == usual


@pytest.mark.parametrize(
    ("before", "now"),
    [("screen", "epochs"), ("epochs", "screen"), ("subset", "epochs"), ("both", "epochs")],
)
def test_what_another_elimination_stopped_is_open_until_it_is_decided_again(
    spec: Path, before: str, now: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = run(spec, overrides=SEARCHES[before]).answer.counts["stopped"]
    counts = sweep.plan(spec, results=spec.parent / "results", overrides=SEARCHES[now], workers=0).counts()
    assert counts == {"done": 44 - stopped, "new": stopped, "stale": 0, "failed": 0}
    result = run(spec, overrides=SEARCHES[now], view=View(quiet=False))
    begun, said, *_ = capsys.readouterr().err.splitlines()
    assert begun == f"small  44 runs: {44 - stopped} done, {stopped} to train"
    assert said == f"{stopped} of these were stopped before, and are trained only if they are kept now"
    assert result.trained <= stopped


def test_a_plan_is_of_one_moment_though_a_sweep_forgets_runs_meanwhile(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(spec, overrides=HALVING).folder
    real, tried = sweep.Search, []

    def meanwhile(*known: Any) -> sweep.Search:
        with closing(sqlite3.connect(folder / DATABASE, timeout=0)) as other:
            tried.append(other)
            with contextlib.suppress(sqlite3.OperationalError), other:  # it has to wait
                other.execute("DELETE FROM runs WHERE status = 'stopped'")
        return real(*known)

    monkeypatch.setattr(sweep, "Search", meanwhile)
    counts = sweep.plan(spec, results=folder.parent, overrides=HALVING, workers=0).counts()
    assert (len(tried), counts["done"], counts["new"]) == (1, 44, 0)


def test_a_changed_search_that_is_broken_off_goes_on_to_the_same_bytes(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = ["elimination={screen: {subset: 0.4, epochs: 3}, halving: {min: 2, guard: 1}}", "extend=true"]
    run(spec, overrides=HALVING)
    with broken_at(0, monkeypatch) as count:
        usual = views(run(spec, overrides=now).folder)
    for number in range(4, count[0] + 1, 4):
        run(spec, f"broken-{number}", overrides=HALVING)
        with broken_at(number, monkeypatch), pytest.raises(Broken):
            run(spec, f"broken-{number}", overrides=now)
        assert views(run(spec, f"broken-{number}", overrides=now).folder) == usual, number


def test_a_stronger_elimination_throws_nothing_away(spec: Path) -> None:
    folder = run(spec).folder
    before = rows_by_id(folder, "runs.csv")
    again = run(spec, overrides=HALVING)
    assert (again.trained, rows_by_id(folder, "runs.csv")) == (0, before)
    fresh = run(spec, "fresh", overrides=HALVING).folder
    assert (folder / "elimination.csv").read_bytes() == (fresh / "elimination.csv").read_bytes()


def test_more_seeds_are_raced_anew(spec: Path) -> None:
    more = [*HALVING, "seeds=3"]
    usual = run(spec, "a", overrides=more).folder
    run(spec, "b", overrides=HALVING)
    folder = run(spec, "b", overrides=more).folder
    assert course(folder, usual) == course(usual)
    gone = {(row["width"], row["learning_rate"]): row for row in table(folder / "elimination.csv")}
    for row in table(folder / "runs.csv"):
        if row["status"] == "stopped":
            decision = gone[row["width"], row["learning_rate"]]
            assert row["reason"].startswith(decision["stage"])
            assert row["reason"].endswith(decision["reason"])


def test_elimination_csv_goes_with_the_elimination(spec: Path) -> None:
    folder = run(spec, overrides=HALVING).folder
    assert (folder / "elimination.csv").exists()
    run(spec)
    assert not (folder / "elimination.csv").exists()


def test_fresh_sets_the_samples_aside_too(spec: Path) -> None:
    folder = run(spec, overrides=SEARCHES["screen"]).folder
    before = views(folder)
    again = run(spec, overrides=SEARCHES["screen"], fresh=True)
    assert (views(folder), views(folder.with_name("small.bak-1"))) == (before, before)
    assert again.trained > 0


# Rates that are added


def test_extending_goes_on_until_the_best_is_bracketed(spec: Path) -> None:
    result = run(spec, overrides=SEARCHES["extend"])
    assert {entry["edge"] for entry in result.answer.entries} == {"none"}
    own = [row for row in table(result.folder / "runs.csv") if float(row["learning_rate"]) <= 0.1]
    assert [row["learning_rate"] for row in table(result.folder / "runs.csv")][: len(own)] == [
        row["learning_rate"] for row in own
    ]
    for entry in result.answer.entries:
        added = [a for a in result.answer.about["additions"] if a["setting"] == entry["setting"]]
        rates = sorted(rate for addition in added for rate in addition["rates"])
        tried = {row["learning_rate"] for row in table(result.folder / "runs.csv")}
        assert {str(rate) for rate in rates} <= tried


def test_no_more_rates_are_added_than_runs_are_allowed(spec: Path) -> None:
    few = run(spec, overrides=SEARCHES["extend"], max_runs=20)
    assert 12 <= len(few.runs) <= 20
    assert few.answer.counts["new"] == 0
    assert len(run(spec, overrides=SEARCHES["extend"]).runs) > 20


def test_without_extending_added_rates_are_stale(spec: Path) -> None:
    extended = run(spec, overrides=SEARCHES["extend"])
    plain = run(spec, overrides=[NARROW])
    assert (len(plain.runs), plain.answer.counts["stale"]) == (12, len(extended.runs) - 12)
    again = run(spec, overrides=SEARCHES["extend"])
    assert (again.trained, again.answer.counts["stale"], len(again.runs)) == (0, 0, len(extended.runs))


BREAKING = ["learning_rate=[1e-5, 1e5, 1e6]", "epochs=3", "width=4", "extend=true"]
GUARDLESS = "elimination={halving: {factor: 3, min: 1, guard: 0}}"


def test_rates_are_not_extended_beyond_those_that_diverged_though_halving_dropped_them(spec: Path) -> None:
    assert run(spec, "plain", overrides=BREAKING).answer.about["additions"] == []
    halved = run(spec, overrides=[*BREAKING, GUARDLESS])
    dropped = {row["learning_rate"] for row in table(halved.folder / "elimination.csv") if row["kept"] == "false"}
    assert (dropped, halved.answer.about["additions"]) == ({"100000.0", "1000000.0"}, [])


def test_a_run_has_diverged_by_its_last_epoch_and_not_before(spec: Path) -> None:
    folder = run(spec).folder
    rows = table(folder / "runs.csv")
    with Store.open(folder) as store:
        known = Known(store)
        for row in rows:
            last = int(row["epochs_done"])
            by_then, before = known.diverged(row["run_id"], last), known.diverged(row["run_id"], last - 1)
            assert (by_then, before) == (row["status"] == "diverged", False)
    assert "diverged" in {row["status"] for row in rows}


@pytest.mark.parametrize("search", ["screen", "epochs", "subset", "both"])
def test_what_is_added_does_not_depend_on_what_was_trained_in_full_before(spec: Path, search: str) -> None:
    """Without elimination more runs diverge: at rates that a rung stops before, or that a sample drops."""
    own = [*SEARCHES[search], "extend=true", "refine={decades: 0.1, max_rates: 2}"]
    fresh = run(spec, "a", overrides=own)
    assert run(spec, "b").answer.counts["diverged"] > fresh.answer.counts["diverged"]
    assert run(spec, "b", overrides=own).answer.about["additions"] == fresh.answer.about["additions"]


@pytest.fixture
def cautious(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A sweep whose sample drops all rates above 0.1, the best ones among them, so that extending takes them up."""

    def low_ones(found: Trial) -> tuple[Decision, ...]:
        rates = found.rates.tolist()
        return tuple(Decision(rate, rate < 0.2, place, 0.0, None, "too high") for place, rate in enumerate(rates, 1))

    monkeypatch.setattr(stages, "screened", low_ones)
    return [*SEARCHES["both"], "extend=true"]


def test_dropped_rates_are_taken_up_before_others(spec: Path, cautious: list[str]) -> None:
    result = run(spec, overrides=cautious)
    taken = {(a["setting"]["width"], rate) for a in result.answer.about["additions"] for rate in a["rates"]}
    rows = table(result.folder / "runs.csv")
    status = {(int(row["width"]), float(row["learning_rate"])): row["status"] for row in rows}
    assert len(rows) == 44  # no other rates
    assert {status[one] for one in taken} <= {"finished", "diverged"}
    above = {one for one in status if one[1] > 0.2}
    assert {one for one in above if status[one] == "stopped"} == above - taken
    assert run(spec, overrides=cautious).trained == 0


def test_what_was_taken_up_changes_no_decision(
    spec: Path, cautious: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with broken_at(0, monkeypatch) as count:
        folder = run(spec, overrides=cautious).folder
    usual = views(folder)
    run(spec, overrides=cautious)
    assert views(folder) == usual
    for number in range(8, count[0] + 1, 8):
        with broken_at(number, monkeypatch), pytest.raises(Broken):
            run(spec, f"broken-{number}", overrides=cautious)
        assert views(run(spec, f"broken-{number}", overrides=cautious).folder) == usual, number


def test_what_is_taken_up_is_missing_until_it_is_trained(
    spec: Path, cautious: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = 0
    for n_stacks in range(1, 40):
        left = iter([1.0] * n_stacks)
        monkeypatch.setattr(training, "left", lambda deadline, left=left: next(left, 0.0))
        answer = run(spec, "b", overrides=cautious, time_limit=3).answer
        if answer.about["additions"]:
            again = sweep.plan(spec, results=spec.parent / "b", overrides=cautious, workers=0).counts()
            assert answer.counts["new"] == again["new"]
            cut += answer.counts["new"] > 0
        if answer.about["additions"] and not answer.counts["new"]:
            break
    assert cut
