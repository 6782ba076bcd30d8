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
        "growth=[none, {at_epoch: 1, to_width: 64}]",
        "exclude=[{parametrization: mup, growth: {to_width: 64}}]",
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
    ("width", "widths", "own"),
    [
        ("8,16,32", (8, 16, 32), True),
        ("32,8,16", (8, 16, 32), True),
        ("8,32", (5, 10, 20, 40, 80), False),
        ("8,16,31", (5, 10, 20, 40, 80), False),
    ],
)
def test_widths_are_the_files_where_they_span_enough(
    spec: Path, width: str, widths: tuple[int, ...], own: bool
) -> None:
    [case] = cases(spec, f"width={width}", "base_width=5")
    assert (case.widths, case.own) == (widths, own)


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
    said = coordcheck.advice({**finding, "layers": layers})
    assert "hidden 1 are all 0 at width 16 after step 2" in said
    assert "lower the rate: --rate 0.1" in said


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
