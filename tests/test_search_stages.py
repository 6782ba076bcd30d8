"""The stages of elimination: which runs stand for which, and how large they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrsweep.analysis.elimination import Elimination, Halving, Screen
from lrsweep.plan import PlannedRun, make_plan
from lrsweep.search.stages import sample_of, stages
from lrsweep.spec import load_spec

BASE = "{dataset: digits, width: 4, learning_rate: [0.1], epochs: 20, seeds: 1}"
ROWS = 1079


def planned(tmp_path: Path, *overrides: str) -> PlannedRun:
    """The run of a file with one run: on digits, with 1,079 training rows."""
    path = tmp_path / "one.yaml"
    path.write_text(BASE)
    return make_plan(load_spec(path, list(overrides))).runs[0]


@pytest.mark.parametrize(
    ("subset", "of_the_sample", "rows"),
    [("1.0", 0.1, 108), ("1.0", 50, 50), ("0.05", 0.1, 54), ("60", 0.1, 60), ("1.0", 5000, ROWS), ("0.5", 1.0, 540)],
)
def test_a_sample_is_never_larger_than_the_run(tmp_path: Path, subset: str, of_the_sample: float, rows: int) -> None:
    small = sample_of(Screen(of_the_sample, 3, 2), planned(tmp_path, f"subset={subset}"))
    assert (small.n_train, small.run.epochs) == (rows, 3)


def test_a_sample_of_a_shorter_run_has_its_epochs(tmp_path: Path) -> None:
    assert sample_of(Screen(0.1, 30, 2), planned(tmp_path)).run.epochs == 20


def test_a_sample_keeps_the_form_of_the_schedule(tmp_path: Path) -> None:
    """34 steps an epoch, 680 in all, a tenth of them warm-up: on the sample 12 steps, one of them warm-up."""
    small = sample_of(Screen(0.1, 3, 2), planned(tmp_path, "schedule={name: cosine, warmup: 68}"))
    assert dict(small.run.schedule.settings)["warmup"] == pytest.approx(0.1)


@pytest.mark.parametrize(("at_epoch", "grows"), [(2, True), (3, False)])
def test_a_growth_that_comes_too_late_is_left_out(tmp_path: Path, at_epoch: int, grows: bool) -> None:
    small = sample_of(Screen(0.1, 3, 2), planned(tmp_path, f"growth={{at_epoch: {at_epoch}, to_width: 8}}"))
    assert (small.run.growth is not None) == grows


def test_noise_is_not_measured_on_samples(tmp_path: Path) -> None:
    one = planned(tmp_path, "noise=[0.1]")
    found = [stage.run_of(one) for stage in stages(one, Elimination(Screen(), Halving(3, "subset")))]
    assert {small.run.noise for small in found} == {()}


def test_a_sample_as_large_as_the_run_is_no_stage(tmp_path: Path) -> None:
    one = planned(tmp_path, "subset=0.1", "epochs=3")
    assert [*stages(one, Elimination(Screen(0.1, 3, 2)))] == []


@pytest.mark.parametrize(("batch", "subset", "rows"), [("full", 0.1, 108), ("2000", 0.1, 108), ("32", 1060, 1060)])
def test_fewer_rows_are_a_sample_though_they_make_as_many_steps(
    tmp_path: Path, batch: str, subset: float, rows: int
) -> None:
    (screen,) = stages(planned(tmp_path, "epochs=3", f"batch_size={batch}"), Elimination(Screen(subset, 3, 2)))
    assert (screen.n_train, screen.share) == (rows, 1)


def test_the_shares_of_stages_are_of_steps(tmp_path: Path) -> None:
    """By hand: 34 steps an epoch; 108 rows make 4 steps, 300 rows 10."""
    screen, first, *_ = stages(planned(tmp_path), Elimination(Screen(0.1, 3, 2), Halving(3, "epochs", 2)))
    assert (screen.share, first.share) == (3 * 4 / 680, 2 / 20)
    (rung, *_) = stages(planned(tmp_path), Elimination(None, Halving(3, "subset", 300)))
    assert rung.share == 20 * 10 / 680


def test_stages_say_what_they_look_at(tmp_path: Path) -> None:
    screen, rung, *_ = stages(planned(tmp_path), Elimination(Screen(0.1, 3, 2), Halving(3, "epochs", 1)))
    (on_rows, *_) = stages(planned(tmp_path), Elimination(None, Halving(3, "subset", 300)))
    assert [one.size for one in (screen, rung, on_rows)] == ["108 rows, 3 epochs", "1 epoch", "300 rows"]
    assert [one.name for one in (screen, rung, on_rows)] == ["screen", "rung 1", "rung 1"]


def test_what_is_already_whole_is_itself(tmp_path: Path) -> None:
    one = planned(tmp_path)
    stage = next(iter(stages(one, Elimination(None, Halving(3, "epochs", 2)))))
    assert stage.run_of(one) is one
