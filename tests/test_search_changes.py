"""The search of a sweep whose file changes, and rates that are added: nothing is thrown away, nothing done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from search_cases import NARROW, SEARCHES, TEXT, Broken, broken_at, course, rows_by_id, run, samples_of, table, views

from lrsweep import sweep
from lrsweep.analysis.elimination import Decision, Trial
from lrsweep.search import stages

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
