"""The coordinate check tells muP from the standard parametrization, and a broken muP from a right one."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_cases import RUN, made, optimizer

from lrsweep import coordcheck
from lrsweep.engine import coordinates, model, scaling
from lrsweep.engine.coordinates import BORDERLINE, FAILS, PASSES
from lrsweep.engine.group import Group
from lrsweep.vocabulary import Array, Run, UsageError

WIDTHS = (64, 128, 256, 512)
DATA = made()
SPEC = "{dataset: iris, learning_rate: [0.001, 0.01, 0.1, 1], width: [8, 16, 32], epochs: 2, seeds: 2}"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep whose widths can be checked."""
    path = tmp_path / "wide.yaml"
    path.write_text(SPEC)
    return path


def sizes(run: Run, steps: int = 3) -> Array:
    """Mean absolute activations (W, steps, L) over five seeds."""
    each = [[replace(run, width=width, seed=seed) for seed in range(5)] for width in WIDTHS]
    return np.stack([coordinates.activations(runs, DATA, steps).mean(axis=0) for runs in each])


def verdicts(name: str, rate: float, depth: int = 2, **changes: Any) -> list[str]:
    """The verdict on each layer."""
    run = replace(RUN, optimizer=optimizer(name), learning_rate=rate, depth=depth, **changes)
    slopes = coordinates.slopes(WIDTHS, sizes(run))
    return [coordinates.verdict(coordinates.largest(layer)) for layer in slopes.T]


RATES = [("sgd", 0.1), ("momentum", 0.03), ("adam", 0.01), ("schedule_free", 0.01), ("prodigy", 1.0)]


@pytest.mark.parametrize(("name", "rate"), RATES)
def test_mup_passes(name: str, rate: float) -> None:
    assert verdicts(name, rate, parametrization="mup") == [PASSES] * 3


@pytest.mark.parametrize(("name", "rate"), RATES)
def test_the_standard_parametrization_fails_at_the_logits(name: str, rate: float) -> None:
    assert verdicts(name, rate)[-1] == FAILS


@pytest.mark.parametrize(("name", "rate", "layer"), [("sgd", 0.1, 2), ("adam", 0.03, 1)])
def test_a_multiplier_left_out_is_caught(name: str, rate: float, layer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of muP's table for sgd the output weights' row, for adam the hidden weights'."""
    right = scaling.by_width

    def wrong(units: tuple[int, ...], family: str, m: float) -> Array:
        flat = right(units, family, m)
        model.layers(flat[None], units)[layer][...] = 1
        return flat

    monkeypatch.setattr(scaling, "by_width", wrong)
    assert verdicts(name, rate, parametrization="mup")[layer] == FAILS


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
def test_one_step_by_hand(parametrization: Any) -> None:
    """From output weights of zero the first step of sgd moves the output layer alone, by the batch's residuals."""
    run = replace(RUN, width=12, base_width=3, parametrization=parametrization, optimizer=optimizer("sgd"))
    [[[hidden, logits]]] = coordinates.activations([run], DATA, 1)
    [first, _] = model.layers(model.initial((5, 12, 3), "relu", seed=0)[None], (5, 12, 3))
    rows = model.stream(0, model.ORDER).permutation(len(DATA.x_train))[:16]
    signals = np.maximum(DATA.x_train @ first[0, :, :-1].T, 0)  # (N, H)
    residuals = 1 / 3 - np.eye(3)[DATA.y_train[rows]]
    weights = -run.learning_rate * residuals.T @ signals[rows] / 16
    biases = -run.learning_rate * residuals.mean(axis=0)
    m = 4 if parametrization == "mup" else 1  # movement × m, the gradient and the forward pass / m each
    assert hidden == pytest.approx(np.abs(signals).mean())
    assert logits == pytest.approx(np.abs(signals @ weights.T / m + biases).mean())


def test_batches_are_those_of_a_training() -> None:
    """Epoch after epoch, the remainder of 9 rows included."""
    rows = islice(coordinates.batches(Group([replace(RUN, batch_size=20)], DATA)), 4)
    order = model.stream(0, model.ORDER)
    first, second = order.permutation(49), order.permutation(49)
    expected = [first[:20], first[20:40], first[40:], second[:20]]
    assert [batch[0].tolist() for batch in rows] == [batch.tolist() for batch in expected]


def test_seeds_in_a_stack_are_as_they_are_alone() -> None:
    runs = [replace(RUN, width=8, seed=seed) for seed in range(3)]
    alone = np.concatenate([coordinates.activations([run], DATA, 3) for run in runs])
    np.testing.assert_allclose(coordinates.activations(runs, DATA, 3), alone, rtol=1e-12)


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [(0.0, PASSES), (-0.099, PASSES), (0.1, BORDERLINE), (-0.3, BORDERLINE), (0.301, FAILS), (np.nan, FAILS)],
)
def test_verdicts(slope: float, verdict: str) -> None:
    assert coordinates.verdict(slope) == verdict


def test_the_largest_slope_counts_whatever_its_sign_and_none_is_the_largest() -> None:
    assert coordinates.largest(np.array([0.1, -0.4, 0.3])) == -0.4
    assert np.isnan(coordinates.largest(np.array([0.1, np.nan, 0.3])))


@pytest.mark.parametrize("lost", [0.0, np.inf, np.nan])
def test_what_has_no_logarithm_has_no_slope(lost: float) -> None:
    sizes = np.array([[[1.0, 1.0]], [[1.0, lost]], [[1.0, 1.0]]])
    assert coordinates.slopes([8, 16, 32], sizes)[0].tolist() == pytest.approx([0, np.nan], nan_ok=True)


# From a sweep file


def cases(path: Path, *overrides: str, rate: float | None = None) -> list[coordcheck.Case]:
    return coordcheck.cases(path, overrides, steps=3, rate=rate)


def check(path: Path, *overrides: str, **how: Any) -> list[coordcheck.Finding]:
    return list(coordcheck.check(path, overrides=overrides, **how))


def test_a_setting_is_what_is_left_without_rate_width_and_seed(spec: Path) -> None:
    found = cases(
        spec,
        *("optimizer=sgd,adam", "parametrization=[standard, mup]", "schedule=constant,cosine", "epochs=2,3"),
        *("growth=[none, {at_epoch: 1, to_width: 64}]", "noise=0.1"),
    )
    told = [(case.setting["parametrization"], case.setting["optimizer"]) for case in found]
    assert sorted(told) == [("mup", "adam"), ("mup", "sgd"), ("standard", "adam"), ("standard", "sgd")]
    assert {key for case in found for key in case.setting} == {"parametrization", "optimizer", "depth"}


def test_the_rate_is_the_middle_one_of_the_setting(spec: Path) -> None:
    assert [case.rate for case in cases(spec)] == [0.01]
    assert [case.rate for case in cases(spec, rate=0.5)] == [0.5]
    blocks = "blocks=[{optimizer: sgd, learning_rate: [1, 2, 3]}, {optimizer: adam}]"
    assert [case.rate for case in cases(spec, blocks)] == [2, 0.01]


@pytest.mark.parametrize(
    ("width", "widths", "origin"),
    [
        ("8,16,32", (8, 16, 32), "file"),
        ("32,8,16", (8, 16, 32), "file"),
        ("8,32", (5, 10, 20, 40, 80), "base_width"),
        ("8,16,31", (5, 10, 20, 40, 80), "base_width"),
    ],
)
def test_widths_are_the_files_where_they_span_enough(
    spec: Path, width: str, widths: tuple[int, ...], origin: str
) -> None:
    [case] = cases(spec, f"width={width}", "base_width=5")
    assert (case.widths, case.widths_from) == (widths, origin)


@pytest.mark.parametrize(
    "override",
    [
        "growth={at_epoch: 1, to_width: 16}",
        "growth={at_epoch: 9, to_width: 64}",
        "schedule={name: cosine, warmup: 1000000}",
        "schedule={name: one_cycle, base_momentum: 0.9, max_momentum: 0.1}",
        "epochs=9007199254740992",
    ],
)
def test_what_plays_no_part_is_not_refused(spec: Path, override: str) -> None:
    [case] = cases(spec, override, "parametrization=mup")
    assert case.widths == (8, 16, 32)


def test_combinations_are_those_of_the_file_though_what_plays_no_part_is_gone(spec: Path) -> None:
    """A zip has its lengths, and an exclude looks at the values that the file has."""
    zipped = ("zip=[[activation, schedule]]", "activation=relu,tanh,gelu", "schedule=constant,cosine,linear")
    found = cases(spec, *zipped, "exclude=[{schedule: cosine}, {schedule: constant, seeds: 1}]")
    assert [(case.setting["activation"], case.seeds) for case in found] == [("relu", (0,)), ("gelu", (0, 1))]


def test_the_momentum_is_the_optimizers_own_under_any_schedule(spec: Path) -> None:
    """A schedule that moves it makes one run of the two, but here it plays no part."""
    found = cases(spec, "optimizer={name: momentum, momentum: [0.5, 0.9]}", "schedule=one_cycle")
    assert [case.setting["optimizer.momentum"] for case in found] == [0.5, 0.9]


def test_the_check_is_of_the_rate_as_it_is_without_schedule(spec: Path) -> None:
    plain = check(spec)
    warmed = check(spec, "schedule={name: cosine, warmup: 0.5}", "epochs=30")
    assert plain == warmed


def test_steps_may_be_more_than_the_sweep_has(spec: Path) -> None:
    [finding] = check(spec, "batch_size=full", "epochs=1", steps=4)
    assert [len(layer["slopes"]) for layer in finding["layers"]] == [4, 4]


def test_a_finding_has_every_layer_step_and_width(spec: Path) -> None:
    [finding] = check(spec, "depth=2", "seeds=3")
    assert [layer["layer"] for layer in finding["layers"]] == ["hidden 1", "hidden 2", "logits"]
    assert [np.shape(layer["activations"]) for layer in finding["layers"]] == [(3, 3)] * 3
    assert (finding["rate"], finding["widths"], finding["seeds"]) == (0.01, [8, 16, 32], 3)
    assert finding["widths_from"] == "file"


def test_no_hidden_layer_has_nothing_to_check(spec: Path) -> None:
    [finding] = check(spec, "depth=0")
    assert (finding["layers"], finding["verdict"]) == ([], coordcheck.NOTHING)
    assert "no hidden layer" in finding["advice"]
    assert coordcheck.exit_code([finding]) == 0


def test_standard_is_told_to_use_mup(spec: Path) -> None:
    [finding] = check(spec, "width=16,64,256", "seeds=5")
    assert finding["verdict"] == FAILS
    assert "a rate found at width 16 will be too large at 256; use parametrization: mup" in finding["advice"]
    assert coordcheck.exit_code([finding]) == 1


def test_mup_that_fails_is_told_to_try_a_lower_rate(spec: Path) -> None:
    """The first steps of radam go with the gradient's size, which is not what muP's table for Adam's family is for."""
    [finding] = check(spec, "width=16,64,256", "parametrization=mup", "optimizer=radam")
    assert "logits shrink by width^-" in finding["advice"]
    assert "try --rate 0.001, and if it fails there too, radam does not follow muP's rules" in finding["advice"]


def test_what_is_not_finite_fails_and_names_width_step_and_remedy(spec: Path) -> None:
    [finding] = check(spec, rate=1e30)
    assert finding["verdict"] == FAILS
    assert "activations are not finite at width 8 after step 2; lower the rate: --rate 1e+29" in finding["advice"]


def test_what_does_not_move_fails_and_asks_for_a_higher_rate(spec: Path) -> None:
    [finding] = check(spec, rate=1e-50)
    assert finding["verdict"] == FAILS
    assert "logits are all 0 at width 8 after step 1" in finding["advice"]
    assert "raise the rate: --rate 1e-49" in finding["advice"]


def test_dead_units_ask_for_a_lower_rate(spec: Path) -> None:
    finding = {"setting": {"parametrization": "standard"}, "rate": 1.0, "widths": [8, 16], "seeds": 1}
    layers = [{"layer": "hidden 1", "activations": [[1.0, 1.0], [1.0, 0.0]]}]
    said, changes = coordcheck.advice({**finding, "layers": layers})
    assert "hidden 1 are all 0 at width 16 after step 2" in said
    assert "lower the rate: --rate 0.1" in said
    assert changes == {"rate": 0.1}


# The command that follows


def finding_of(parametrization: str, slope: float, rate: float = 0.01, size: float = 1.0, **how: Any) -> Any:
    """A finding with one layer of such a slope, its activations all of one size."""
    layer = {"layer": "logits", "slope": slope, "activations": [[size]] * 2}
    setting = {"parametrization": parametrization, "optimizer": "adam"}
    finding = {"setting": setting, "rate": rate, "widths": [8, 16], "seeds": 2, "layers": [layer]}
    said, changes = coordcheck.advice(finding, **how)
    verdict = coordinates.verdict(slope if size else np.nan)
    return {**finding, "verdict": verdict, "advice": said, "changes": changes}


STANDARD, MUP = finding_of("standard", 0.9), finding_of("mup", 0.01)
UNCLEAR, LOST = finding_of("mup", 0.2), finding_of("mup", 0.0, rate=1e-50, size=0.0)
LINEAR = {"setting": {"parametrization": "standard"}, "verdict": coordcheck.NOTHING, "changes": {}}


@pytest.mark.parametrize(
    ("findings", "command", "overrides", "options"),
    [
        ([MUP], "run", [], []),
        ([LINEAR], "run", [], []),
        ([finding_of("standard", 0.0)], "run", [], []),
        ([STANDARD], "coordcheck", ["parametrization=mup"], []),
        ([STANDARD, LINEAR, finding_of("standard", 0.2)], "coordcheck", ["parametrization=mup"], []),
        ([STANDARD, MUP], "run", ["parametrization=mup"], []),
        ([finding_of("standard", 0.2), MUP], "run", [], []),
        ([finding_of("standard", 0.2)], "coordcheck", ["seeds=8"], []),
        ([MUP, UNCLEAR], "coordcheck", ["seeds=8"], []),
        ([STANDARD, UNCLEAR], "coordcheck", ["seeds=8", "parametrization=mup"], []),
        ([finding_of("mup", -0.9)], "coordcheck", [], ["--rate 0.001"]),
        ([finding_of("mup", -0.9, rate=0.0123456)], "coordcheck", [], ["--rate 0.00123"]),
        ([UNCLEAR, finding_of("mup", 0.9)], "coordcheck", [], ["--rate 0.001"]),
        ([LOST], "coordcheck", [], ["--rate 1e-49"]),
        ([finding_of("standard", np.nan, size=np.inf)], "coordcheck", [], ["--rate 0.001"]),
        ([finding_of("standard", 0.9, grows=True)], "coordcheck", ["parametrization=mup", "growth=none"], []),
        ([finding_of("standard", 0.9, grows=True), MUP], "run", ["parametrization=mup", "growth=none"], []),
    ],
)
def test_the_command_that_follows_does_what_the_advice_says(
    findings: list[Any], command: str, overrides: list[str], options: list[str]
) -> None:
    assert coordcheck.following(findings, []) == (command, overrides, options)
    if command == "coordcheck":
        assert any(all(word in finding["advice"] for word in options) for finding in findings)


def test_what_the_user_gave_is_kept_unless_the_advice_changes_it() -> None:
    given = ["width=8,16", "parametrization = standard", "seeds=3"]
    rest = ["width=8,16", "seeds=3", "parametrization=mup"]
    assert coordcheck.following([STANDARD], given, 5, 0.125) == ("coordcheck", rest, ["--steps 5", "--rate 0.125"])
    assert coordcheck.following([LOST], given, 5, 1e-50) == ("coordcheck", given, ["--steps 5", "--rate 1e-49"])
    assert coordcheck.following([MUP], given, 5, 0.125) == ("run", given, [])


def test_a_file_that_grows_is_told_that_growth_does_not_go_with_mup(spec: Path) -> None:
    [finding] = check(spec, "width=16,64,256", "seeds=5", "growth={at_epoch: 1, to_width: 512}")
    assert finding["advice"].endswith("; use parametrization: mup, with growth: none")


# What is refused, and the document


@pytest.mark.parametrize("rate", [0.0, -1.0, np.inf, np.nan])
def test_a_rate_that_is_none_is_refused(spec: Path, rate: float) -> None:
    with pytest.raises(UsageError, match="must be above 0 and finite"):
        check(spec, rate=rate)


def test_networks_that_do_not_fit_are_refused_at_once(spec: Path) -> None:
    with pytest.raises(UsageError, match=r"2 seeds of width 16000000000 and depth 2 need about .* name smaller widths"):
        check(spec, "depth=2", "width=64", "base_width=1000000000")


def test_the_document_has_in_common_what_is(spec: Path) -> None:
    document = coordcheck.document(check(spec, "optimizer=sgd,adam"), steps=3)
    assert (document["schema_version"], document["steps"], document["rate"]) == (1, 3, 0.01)
    assert document["widths"] == [8, 16, 32]
    blocks = "blocks=[{optimizer: sgd, learning_rate: [1, 2, 3]}, {optimizer: adam}]"
    assert coordcheck.document(check(spec, blocks), steps=3)["rate"] is None
