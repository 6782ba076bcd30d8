"""Which runs a sweep file makes: blocks, zip, exclude, and how many there may be."""

from pathlib import Path
from typing import Any

import pytest
from soon import takes_at_most
from spec_cases import loaded, refused, runs

from lrsweep.spec import load_spec
from lrsweep.vocabulary import SpecError, UsageError

# --- Blocks, zip, exclude


def test_the_last_axis_is_the_fastest(tmp_path: Path) -> None:
    spec = loaded(tmp_path, width="[1, 2]", depth="[3, 4]", seeds="2")
    assert runs(spec, "width", "depth", "seeds") == [(w, d, s) for w in (1, 2) for d in (3, 4) for s in (0, 1)]


def test_zipped_axes_advance_together(tmp_path: Path) -> None:
    spec = loaded(tmp_path, width="{doubling: [16, 64]}", depth="[0, 1]", batch_size="[8, 16, full]", seeds="1",
                  zip="[[batch_size, width]]")  # fmt: skip
    pairs = [(16, 8), (32, 16), (64, "full")]
    assert runs(spec, "width", "batch_size", "depth") == [(w, b, d) for w, b in pairs for d in (0, 1)]
    (found,) = refused(tmp_path, width="[1, 2, 3]", batch_size="[8, 16]", zip="[[width, batch_size]]")
    assert found == "5:7: zip: width has 3, batch_size has 2 values; give its keys lists of the same length"


def test_exclude_drops_the_combinations_that_it_names(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        width="[16, 64, 256]",
        optimizer="[sgd, {name: momentum, momentum: [0.9, 0.95]}]",
        seeds="2",
        exclude="[{width: 256, optimizer: sgd}, {seeds: 1, width: 16}, "
        "{optimizer: {name: momentum, momentum: 0.95}, width: [16, 64]}]",
    )
    kept = {(w, dict(o.settings).get("momentum"), s) for w, o, s in runs(spec, "width", "optimizer", "seeds")}
    everything = {(w, m, s) for w in (16, 64, 256) for m in (None, 0.9, 0.95) for s in (0, 1)}
    dropped = {run for run in everything if run[:2] == (256, None) or (run[1] == 0.95 and run[0] < 256)}
    assert kept == everything - dropped - {run for run in everything if run[0] == 16 and run[2] == 1}
    assert spec.blocks[0].count()[0] == len(runs(spec))
    assert spec.named == ("optimizer.momentum",)


def test_a_setting_that_only_exclude_names_makes_no_column(tmp_path: Path) -> None:
    spec = loaded(tmp_path, optimizer="[sgd, adam]", exclude="[{optimizer: {name: adam, beta1: 0.9}}]", seeds="1")
    assert [choice.name for (choice,) in runs(spec, "optimizer")] == ["sgd"]
    assert spec.named == ()


@pytest.mark.parametrize(
    ("pattern", "dropped"),
    [
        ("{layer_rates: 1}", {(1, 1, 1)}),
        ("{layer_rates: {decay: 0.5}}", {0.5}),
        ("{layer_rates: {decay: [0.25, 0.5]}}", {0.25, 0.5}),
        ("{layer_rates: {decay: 1}}", {(1, 1, 1)}),
        ("{layer_rates: {first: 0.1}}", {(0.1, 1, 1), (0.1, 1, 2)}),
        ("{layer_rates: {last: 2, first: [0.1, 3]}}", {(0.1, 1, 2)}),
        ("{layer_rates: {hidden: 1}}", {(1, 1, 1), (0.1, 1, 1), (0.1, 1, 2)}),
        ("{layer_rates: [1, {decay: 0.5}]}", {(1, 1, 1), 0.5}),
    ],
)
def test_exclude_names_rates_by_layer_in_part(tmp_path: Path, pattern: str, dropped: set[Any]) -> None:
    """A layer that is not named may have any multiplier, but not one by decay."""
    axis = "[1, {decay: [0.25, 0.5]}, {first: 0.1, last: [1, 2]}]"
    spec = loaded(tmp_path, layer_rates=axis, exclude=f"[{pattern}]", seeds="1")
    kept = {own.decay if own.decay != 1 else (own.first, own.hidden, own.last) for (own,) in runs(spec, "layer_rates")}
    assert kept == {(1, 1, 1), 0.25, 0.5, (0.1, 1, 1), (0.1, 1, 2)} - dropped


@pytest.mark.parametrize(
    ("pattern", "dropped"),
    [
        ("{growth: none}", {None}),
        ("{growth: {to_width: 9}}", {(3, 9, "keep"), (4, 9, "keep")}),
        ("{growth: {rate: keep}}", {(3, 9, "keep"), (4, 9, "keep"), (3, 99, "keep")}),
        ("{growth: {at_epoch: 3, rate: [keep, {scale: 2}]}}", {(3, 9, "keep"), (3, 99, "keep"), (3, 99, 2.0)}),
        ("{growth: {rate: {scale: [1, 0.5]}}}", {(3, 99, 0.5)}),
        ("{growth: [none, {to_width: 99}]}", {None, (3, 99, "keep"), (3, 99, 0.5), (3, 99, 2.0)}),
    ],
)
def test_exclude_names_growth_in_part(tmp_path: Path, pattern: str, dropped: set[Any]) -> None:
    axis = "[none, {at_epoch: [3, 4], to_width: 9}, {at_epoch: 3, to_width: 99, rate: [keep, {scale: [0.5, 2]}]}]"
    spec = loaded(tmp_path, growth=axis, exclude=f"[{pattern}]", seeds="1")
    kept = {
        own and (own.at_epoch, own.to_width, own.scale if own.rate == "scale" else own.rate)
        for (own,) in runs(spec, "growth")
    }
    everything = {None, (3, 9, "keep"), (4, 9, "keep"), (3, 99, "keep"), (3, 99, 0.5), (3, 99, 2.0)}
    assert kept == everything - dropped


def test_exclude_looks_at_zipped_values_together(tmp_path: Path) -> None:
    keys = {"width": "[1, 2]", "batch_size": "[8, 16]", "zip": "[[width, batch_size]]", "seeds": "1"}
    assert runs(loaded(tmp_path, **keys, exclude="[{width: 1, batch_size: 8}]"), "width") == [(2,)]
    assert "no run has these values" in refused(tmp_path, **keys, exclude="[{width: 1, batch_size: 16}]")[0]


def test_values_in_place_of_others_leave_the_combinations_as_they_are(tmp_path: Path) -> None:
    keys = {"width": "[1, 2]", "epochs": "[8, 16]", "depth": "[1, 2]", "seeds": "1", "zip": "[[width, epochs]]"}
    [block] = loaded(tmp_path, **keys, exclude="[{epochs: 8, depth: 2}]").blocks
    changed = block.with_values({"epochs": 3})
    assert list(changed.combinations()) == [values | {"epochs": 3} for values in block.combinations()]
    assert [(values["width"], values["depth"]) for values in changed.combinations()] == [(1, 1), (2, 1), (2, 2)]


def test_blocks_are_a_union_that_overrides_the_file(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        "blocks:\n- {width: 8, exclude: [{depth: 0}]}\n- {depth: 2, learning_rate: [0.5, 1]}",
        width="[16, 32]",
        depth="[0, 1]",
        seeds="1",
    )
    assert runs(spec, "width", "depth", "learning_rate") == [
        (8, 1, 0.1),
        (16, 2, 0.5),
        (16, 2, 1.0),
        (32, 2, 0.5),
        (32, 2, 1.0),
    ]


def test_an_exclude_of_the_file_needs_to_meet_one_block_only(tmp_path: Path) -> None:
    blocks = "blocks: [{width: [16, 64]}, {width: [32]}]"
    assert runs(loaded(tmp_path, blocks, exclude="[{width: 64}]", seeds="1"), "width") == [(16,), (32,)]
    assert "no run has these values" in refused(tmp_path, blocks, exclude="[{width: 65}]")[0]


def test_a_block_may_bring_what_the_file_lacks(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "blocks: [{dataset: iris, learning_rate: 1}]", dataset="", learning_rate="")
    assert [str(source) for (source,) in runs(spec, "dataset")] == ["iris"] * 3
    (found,) = refused(tmp_path, "blocks: [{dataset: iris}, {}]", dataset="")
    assert found.startswith("2:27: dataset is missing")


def test_noise_is_no_key_of_a_block(tmp_path: Path) -> None:
    message = "3:26: 'noise' is not a key of a block, it holds for all runs alike; write it outside the blocks"
    assert refused(tmp_path, "blocks: [{}, {width: 32, noise: 0.1}]") == [message]
    assert loaded(tmp_path, "blocks: [{}, {width: 32}]", noise="0.1").blocks[1].axes["noise"] == [(0.1,)]


# --- Counts


@pytest.mark.parametrize(
    ("keys", "count", "shorten"),
    [
        ({"learning_rate": "{log: [1e-4, 1], num: 10001}", "seeds": "1"}, "10,001 runs (learning_rate 10,001)",
         "learning_rate"),
        (
            {"learning_rate": "{log: [1e-4, 1], num: 1000000}", "width": "{linear: [1, 9], num: 1000}", "seeds": "1"},
            "1,000,000,000 runs (width 1,000 × learning_rate 1,000,000)",
            "learning_rate",
        ),
        (
            {"learning_rate": f"{{log: [1e-4, 1], num: 1{'0' * 10}}}", "seeds": f"1{'0' * 20}", "width": "3"},
            "about 10^30 runs (learning_rate 10,000,000,000 × seeds about 10^20)",
            "seeds",
        ),
        (
            {"width": "{linear: [1, 9], num: 200}", "epochs": "{linear: [1, 9], num: 200}",
             "zip": "[[width, epochs]]", "seeds": "99"},
            "19,800 runs (width+epochs 200 × seeds 99)",
            "width+epochs",
        ),
        (
            {"layer_rates": "[1, {first: {log: [0.1, 1], num: 1000}, last: {log: [0.1, 1], num: 1000}}]"},
            "3,000,003 runs (layer_rates 1,000,001 × seeds 3)",
            "layer_rates",
        ),
        (
            {"growth": "{at_epoch: {linear: [1, 99], num: 100}, to_width: 128, "
             "rate: [keep, {scale: {log: [0.1, 1], num: 1000}}]}", "seeds": "1"},
            "100,100 runs (growth 100,100)",
            "growth",
        ),
        ({"blocks": "[{seeds: 6000}, {seeds: 7000}]"}, "13,000 runs (2 blocks, the largest seeds 7,000)", "seeds"),
    ],
)  # fmt: skip
def test_too_many_runs_are_counted_not_made(tmp_path: Path, keys: dict[str, str], count: str, shorten: str) -> None:
    (found,) = refused(tmp_path, **keys)
    assert takes_at_most(0.5, lambda: refused(tmp_path, **keys))
    assert (
        found.split(": ", 1)[1]
        == f"{count} are more than --max-runs 10,000 allows; shorten {shorten}, or raise --max-runs"
    )


def test_the_count_of_runs_is_the_limit(tmp_path: Path) -> None:
    assert len(runs(loaded(tmp_path, seeds="12", max_runs=12))) == 12
    assert "13 runs (seeds 13)" in refused(tmp_path, seeds="13", max_runs=12)[0]
    assert len(runs(loaded(tmp_path, seeds="13", exclude="[{seeds: 3}]", max_runs=12))) == 12
    assert "13 runs after exclude (" in refused(tmp_path, seeds="14", exclude="[{seeds: 3}]", max_runs=12)[0]
    assert "121 runs before exclude (" in refused(tmp_path, seeds="121", exclude="[{seeds: 3}]", max_runs=12)[0]


def test_more_than_memory_holds_is_refused_whatever_the_limit(tmp_path: Path) -> None:
    assert "more than --max-runs 1,000,000 allows" in refused(tmp_path, seeds="1000001", max_runs=2**63)[0]


DIGITS = "dataset: digits\nlearning_rate: 0.1\n"


@pytest.mark.parametrize(
    "text",
    [
        DIGITS + "".join(f"widt{i}: 3\n" for i in range(9000)),
        "dataset: digits\nlearning_rate: [" + "-1, " * 19000 + "]",
        "dataset: digits\nlearning_rate: [" + "0.1, " * 5000 + "]\nblocks:\n" + "- {width: 3}\n" * 4000,
        DIGITS + "width: [" + ", ".join(map(str, range(1, 3000))) + "]\nexclude:\n" + "- {width: 3}\n" * 4000,
        DIGITS + "zip:\n" + "- [width, depth]\n" * 2000 + "blocks:\n" + "- {width: 3}\n" * 3000,
        DIGITS + "exclude:\n" + "- {width: 3}\n" * 2000 + "blocks:\n" + "- {width: 3}\n" * 3000,
        DIGITS + "exclude: [{learning_rate: {log: [1e-3, 1], num: 1000000000}}]",
        DIGITS + "optimizer: [" + "adm, " * 9000 + "]",
    ],
    ids=["keys", "values", "blocks", "exclude", "zip", "exclude-blocks", "exclude-grid", "names"],
)
def test_a_file_made_to_be_slow_is_refused_in_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text(text)

    def read() -> None:
        with pytest.raises(SpecError):
            load_spec(path)

    assert takes_at_most(1, read)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.yaml: No such file or directory; .* lrsweep init none.yaml"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="is a folder"):
        load_spec(tmp_path)
