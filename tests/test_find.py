"""The range test from the command line: what it prints and writes, with which exit code, and that it is repeatable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from find_cases import TEXT, find, found, runner

import lrsweep as package
from lrsweep.analysis.range_trust import confirmation
from lrsweep.analysis.ranges import RULES
from lrsweep.cli import app
from lrsweep.engine.ramp import exponential, ramp
from lrsweep.execute import data_for
from lrsweep.finding import cases, training
from lrsweep.plan import make_plan, make_stacks
from lrsweep.plan.shorter import shortened
from lrsweep.spec import load_spec

KEYS = [
    *("setting", "interval", "suggestion", "rules", "disagreement_decades", "seed_band", "confirmed", "trust", "reason")
]
SETTINGS = [
    *("dataset", "subset", "validation", "test", "split_seed", "standardize", "width", "depth", "activation"),
    *("parametrization", "base_width", "optimizer", "layer_rates", "schedule", "batch_size", "epochs", "clip_norm"),
    *("growth", "precision", "noise"),
]


def files(folder: str = "results/small") -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing may be trained."""

    def train(*_: object) -> None:
        pytest.fail("it trained")

    monkeypatch.setattr(training, "ramp", train)
    monkeypatch.setattr(training, "execute", train)


# What it finds


def test_the_document_has_an_entry_with_these_keys_for_each_setting(spec: Path) -> None:
    entries = found()
    assert [entry["setting"] for entry in entries] == [{"optimizer": "momentum"}, {"optimizer": "adam"}]
    for entry in entries:
        assert sorted(entry) == sorted(KEYS)
        assert list(entry["rules"]) == list(RULES)
        low, high = entry["interval"]
        assert 1e-7 < low < entry["suggestion"] < high < 10
        assert entry["trust"] in ("high", "low")
        assert entry["confirmed"] in (True, False, None)


def test_a_useful_rate_is_in_the_interval(spec: Path) -> None:
    """Of adam on digits everybody knows one."""
    low, high = found("-o", "optimizer=adam", "-o", "epochs=20", "-o", "width=64")[0]["interval"]
    assert low < 0.01 < high


def test_an_optimizer_that_finds_its_own_step_is_not_trusted(spec: Path) -> None:
    spec.write_text(TEXT.replace("digits, subset: 0.3", "iris").replace("momentum", "prodigy"))
    doubted = {entry["setting"]["optimizer"]: "finds its own step" in entry["reason"] for entry in found()}
    assert doubted == {"prodigy": True, "adam": False}


def test_the_tables_have_every_setting_seed_and_rate(spec: Path) -> None:
    find("--steps", "30", "--low", "1e-5", "--high", "1")
    ranges, ramps = (pd.read_csv(f"results/small/{name}.csv") for name in ("ranges", "ramps"))
    told = ["disagreement_decades", "seed_band_low", "seed_band_high", "confirmed", "trust", "reason"]
    assert list(ranges) == [*SETTINGS, "layers", "interval_low", "interval_high", "suggestion", *RULES, *told]
    assert ranges["optimizer"].tolist() == ["momentum", "adam"]
    assert list(ramps) == ["optimizer", "layers", "seed", "learning_rate", "loss", "smoothed"]
    for (_, seed), rows in ramps.groupby(["optimizer", "seed"]):
        assert seed in (0, 1)
        assert rows["learning_rate"].tolist() == [float(f"{rate:.6g}") for rate in np.geomspace(1e-5, 1, 30)]
    assert len(ramps) == 2 * 2 * 30


def test_the_losses_are_those_of_each_runs_ramp_alone(spec: Path) -> None:
    find("--steps", "30")
    ramps = pd.read_csv("results/small/ramps.csv")
    for one in make_plan(load_spec(spec)).runs:
        [stack] = make_stacks([one], 0)
        [losses] = ramp(stack, data_for(stack), exponential(1e-7, 10, 30))
        own = ramps[(ramps["optimizer"] == one.run.optimizer.name) & (ramps["seed"] == one.run.seed)]
        np.testing.assert_array_equal(own["loss"], losses)


def test_the_files_rates_play_no_part_and_need_not_be_there(spec: Path) -> None:
    find("--no-confirm")
    before = files()
    no_rates = "extend: {until_bracketed: true}, refine: true, elimination: {screen: {subset: 0.5}}"
    for rates in ("learning_rate: [1e-3, 1e-30]", "learning_rate: {log: [1, 1e30], num: 3}", no_rates):
        spec.write_text(TEXT.replace("learning_rate: 3", rates))
        find("--no-confirm")
        assert files() == before


def test_settings_that_differ_in_what_plays_no_part_share_a_ramp(spec: Path) -> None:
    find("-o", "optimizer=adam", "-o", "schedule=[constant, {name: cosine, warmup: 20}]", "-o", "noise=0.1")
    ramps = pd.read_csv("results/small/ramps.csv")
    constant, cosine = (rows for _, rows in ramps.groupby("schedule"))
    np.testing.assert_array_equal(constant["loss"], cosine["loss"])
    assert len(pd.read_csv("results/small/ranges.csv")) == 2


def test_the_files_rates_do_not_count_among_the_runs(spec: Path) -> None:
    spec.write_text(TEXT.replace("learning_rate: 3", "learning_rate: {log: [1e-3, 1], num: 30}"))
    assert len(found("--no-confirm", "--max-runs", "4")) == 2


def test_seeds_are_the_files_or_so_many(spec: Path) -> None:
    for arguments, seeds in (((), [0, 1]), (("--seeds", "3"), [0, 1, 2]), (("-o", "seeds=[4, 7]"), [4, 7])):
        find("--no-confirm", "-o", "optimizer=adam", *arguments)
        assert sorted(set(pd.read_csv("results/small/ramps.csv")["seed"])) == seeds


def test_one_seed_has_no_band_and_no_trust(spec: Path) -> None:
    for entry in found("--seeds", "1"):
        assert (entry["seed_band"], entry["trust"]) == (None, "low")
        assert "one seed tells nothing" in entry["reason"]


def test_runs_of_few_steps_stay_where_the_ramp_learns_and_are_not_trusted(spec: Path) -> None:
    """Five steps: the best of short runs, which are the runs themselves, lies in the interval, that in the ramp."""
    for entry in found("-o", "epochs=1", "-o", "subset=0.1", "--high", "1.5"):
        assert entry["interval"][0] < 0.5
        assert entry["interval"][1] <= 1.5
        assert entry["trust"] == "low"
        assert "the ramp can tell of 54 or more" not in entry["reason"]  # 100 steps over fewer decades are longer
        assert "or more: the interval is extrapolated" in entry["reason"]


def test_layers_have_ranges_of_their_own(spec: Path) -> None:
    groups = {0: ["last"], 1: ["first", "last"], 2: ["first", "hidden", "last"]}
    for depth, expected in groups.items():
        entries = found("--layers", "-o", f"depth={depth}", "-o", "optimizer=adam", "--no-confirm")
        assert [entry["layers"] for entry in entries] == [None, *expected]
        assert all(sorted(entry) == sorted([*KEYS, "layers"]) for entry in entries)
        ranges = pd.read_csv("results/small/ranges.csv", keep_default_na=False)
        assert ranges["layers"].tolist() == ["", *expected]
    ramps = pd.read_csv("results/small/ramps.csv", keep_default_na=False)
    assert len({tuple(rows["loss"]) for _, rows in ramps.groupby("layers")}) == 4
    assert "layers" not in found("--no-confirm")[0]


# Short runs


def test_short_runs_are_those_of_a_sweep_at_these_rates(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what they say is told: at 1/10, 1/3, 1, 3, 10 times the suggestion, with half of the epochs."""
    given: list[Any] = []
    monkeypatch.setattr(training, "confirmation", lambda *what: given.append(what) or confirmation(*what))
    [entry] = found("-o", "optimizer=adam")
    [(rates, values, suggestion, lower)] = given
    assert np.array(rates) / suggestion == pytest.approx([0.1, 1 / 3, 1, 3, 10])
    overrides = ["optimizer=adam", "epochs=4", f"learning_rate={[float(f'{rate:.6g}') for rate in rates]}"]
    runs = package.run(spec, overrides=overrides, results="other", workers=0).runs
    table = runs.pivot_table(index="learning_rate", columns="seed", values="val_loss", dropna=False)
    np.testing.assert_allclose(values, table.to_numpy(), rtol=0.02)  # the sweep rounds its rates
    assert (confirmation(rates, values, suggestion, lower).confirmed, lower) == (entry["confirmed"], True)


def test_lost_runs_are_worse_than_any_and_scores_go_up(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(training, "confirmation", lambda *what: given.append(what) or None)
    monkeypatch.setattr(cases, "FACTORS", (1.0, 1e30))
    found("-o", "optimizer=momentum", "-o", "objective=val_accuracy")
    [(_, values, _, lower)] = given
    assert not lower
    assert ((values[0] > 0) & (values[0] <= 1)).all()
    assert (values[1] == -np.inf).all()


def test_rates_that_the_precision_does_not_keep_are_not_tried(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(training, "confirmation", lambda *what: given.append(what) or None)
    monkeypatch.setattr(cases, "FACTORS", (1e-60, 1.0, 1e60))
    found("-o", "optimizer=adam")
    assert [rate / suggestion for rates, _, suggestion, _ in given for rate in rates] == [1.0]


def test_without_short_runs_nothing_is_confirmed(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "estimate", lambda *_: pytest.fail("there is something to train"))
    assert {entry["confirmed"] for entry in found("--no-confirm")} == {None}


def test_short_runs_say_how_long_they_are(spec: Path) -> None:
    assert "short runs of 4 epochs" in find("-o", "epochs=8")[0]
    assert "short runs of 1 to 4 epochs" in " ".join(find("-o", "epochs=1,8")[0].split())


@pytest.mark.parametrize(
    ("overrides", "warmup", "grows"),
    [
        ([], 0, False),
        (["schedule={name: cosine, warmup: 0.5}"], 0.5, False),
        (["schedule={name: cosine, warmup: 11}"], 11 / 88, False),  # of 8 epochs with 11 steps
        (["growth={at_epoch: 2, to_width: 32}"], 0, False),
        (["growth={at_epoch: 1, to_width: 32}"], 0, True),
    ],
)
def test_a_run_made_shorter_keeps_its_schedules_form_and_grows_if_there_is_time(
    spec: Path, overrides: list[str], warmup: float, grows: bool
) -> None:
    one = make_plan(load_spec(spec, overrides)).runs[0]
    run = shortened(one, 2)
    assert (run.epochs, dict(run.schedule.settings)["warmup"], run.growth is not None) == (2, warmup, grows)
    assert shortened(one, 8) == shortened(one, 9) == one.run


# That it is repeatable, and nothing of it touches the sweep


def test_the_same_bytes_for_any_workers_and_neighbours(spec: Path) -> None:
    find()
    before = files()
    find("--workers", "2")
    assert files() == before
    find("-o", "optimizer=adam", "--results", "alone")
    both, alone = (pd.read_csv(f"{folder}/small/ramps.csv") for folder in ("results", "alone"))
    own = both[both["optimizer"] == "adam"].drop(columns="optimizer").reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone, check_exact=True)


def test_a_sweep_and_its_range_test_leave_each_other_alone(spec: Path) -> None:
    runner.invoke(app, ["run", "small.yaml", "--workers", "0", "-o", "learning_rate=0.01,0.1"], catch_exceptions=False)
    before = files()
    find()
    assert {name: content for name, content in files().items() if name in before} == before
    tests = {name: content for name, content in files().items() if name not in before}
    assert sorted(tests) == ["ramps.csv", "ranges.csv"]
    runner.invoke(app, ["run", "small.yaml", "--workers", "0", "-o", "learning_rate=0.03"], catch_exceptions=False)
    assert {name: files()[name] for name in tests} == tests


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--low", "1", "--high", "0.1"), "--high 0.1 must be at least ten times --low 1"),
        (("--low", "nan"), "--low nan must be above 0"),
        (("--low", "0"), "--low 0 must be above 0"),
        (("--high", "inf"), "--high inf"),
        (("--low", "1e-60"), "--low 1e-60 is 0 in float32; raise it, or set precision: float64"),
        (("--high", "1e60"), "--high 1e+60 is inf in float32; lower it"),
        (("--steps", "19"), "--steps 19 must be from 20 to 10,000"),
        (("--steps", "1000000000"), "--steps 1,000,000,000 must be"),
        (("--seeds", "0"), "--seeds 0 must be at least 1"),
        (("-o", "width=1000000000"), "over half of the machine's"),
        (("--max-runs", "3"), "4 ramps (the settings times their seeds) are more than --max-runs 3 allows"),
        (("--write", "no/such/new.yaml"), "no/such/new.yaml cannot be written"),
        (("--write", "small.yaml"), "small.yaml exists already; name another file"),
        (("--results", "small.yaml"), "a file or a dangling link is where a folder must be"),
    ],
)
def test_what_cannot_be_is_told_in_a_line_before_anything_is_trained(
    spec: Path, arguments: tuple[str, ...], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_training(monkeypatch)
    code = 3 if arguments[0] == "--results" else 2
    out, said = find(*arguments, code=code)
    assert (out, word in said) == ("", True)
    assert "Traceback" not in said
    assert sorted(path.name for path in Path().iterdir()) == ["small.yaml"]


def test_a_file_that_cannot_be_replaced_is_told_before_anything_is_trained(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("results/small/ramps.csv").mkdir(parents=True)
    no_training(monkeypatch)
    assert "results/small/ramps.csv is there and no plain file" in find(code=3)[1]


# From Python


def test_find_is_a_function_however_often_it_is_asked_for(spec: Path) -> None:
    for _ in range(2):
        result = package.find(spec, overrides=["optimizer=adam"], confirm=False)
    assert result.ranges["suggestion"][0] == result.document()["settings"][0]["suggestion"]
    assert len(result.ramps) == 2 * 100
    assert repr(result).startswith("<Range test of small: adam: sweep 0.")


def test_who_watches_is_told_how_far_it_is(spec: Path) -> None:
    told: list[tuple[int, int]] = []
    watch: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    package.find(spec, watch=watch)
    assert told[0] == (0, 4)
    assert told[-1][0] == told[-1][1] == 4 + 2 * 2 * 5
    assert told == sorted(told)
