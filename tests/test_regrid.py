"""A sweep file with other rates: all else stays as it was, the comments too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrsweep import finding
from lrsweep.analysis.findings import grid, union
from lrsweep.cli import app
from lrsweep.finding import training
from lrsweep.plan import make_plan
from lrsweep.spec import Rates, load_spec, regridded
from lrsweep.spec.model import Spec
from lrsweep.vocabulary import UsageError
from lrsweep.yaml_reader import extent, read

NEW = "{log: [0.001, 0.1], per_decade: 2}"
RATES = [0.001, 0.00316228, 0.01, 0.0316228, 0.1]
WAS = "# from the range test; it was"

runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec_of(text: str, *overrides: str) -> Spec:
    Path("old.yaml").write_text(text)
    return load_spec(Path("old.yaml"), overrides)


def rewritten(text: str, *grids: str | None) -> str:
    return regridded(spec_of(text), Path("new.yaml"), grids or [NEW])


def find(*arguments: str, code: int = 0) -> str:
    """What the command tells."""
    result = runner.invoke(app, ["find", "old.yaml", "--no-confirm", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stderr


# The text


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("0.1", f"{NEW}   {WAS} 0.1"),
        ("0.1   # tried before", f"{NEW}   {WAS} 0.1   # tried before"),
        ("[0.1, 1]", f"{NEW}   {WAS} [0.1, 1]"),
        ("{log: [1e-4, 1],\n  num: 3}  # three", f"{NEW}  # three"),
        ("# why\n  - 0.1  # low\n  - 1  # high", f"# why\n  {NEW}  # high"),
        ("\n  log: [1e-4, 1]\n  num: 3", f"\n  {NEW}"),
    ],
)
def test_the_value_is_replaced_whatever_its_form_and_the_rest_stays(value: str, after: str) -> None:
    text = "# a question\nname: mine\ndataset: iris  # flowers\nlearning_rate: {}\n\n# how long\nepochs: 3\n"
    assert rewritten(text.replace("{}", value)) == text.replace("{}", after)


def test_in_flow_style_too(folder: Path) -> None:
    text = "{{name: mine, dataset: iris, learning_rate: {}, epochs: 3}}"
    assert rewritten(text.format("[1, 2]")) == text.format(NEW)


def test_a_file_without_name_or_rates_gets_both() -> None:
    Path("old.yaml").write_text("# a question\ndataset: iris\n")
    spec = load_spec(Path("old.yaml"), ["learning_rate=1"])
    text = f"# a question\nname: old\nlearning_rate: {NEW}\ndataset: iris\n"
    assert regridded(spec, Path("new.yaml"), [NEW]) == text
    Path("old.yaml").write_text("{dataset: iris}")
    assert regridded(spec, Path("new.yaml"), [NEW]) == f"{{name: old, learning_rate: {NEW}, dataset: iris}}"


BLOCKS = """
dataset: iris
name: mine
learning_rate: 0.1
blocks:
  - optimizer: sgd
  - {optimizer: adam, learning_rate: [0.1, 1]}
  - optimizer: momentum
"""


def test_blocks_that_share_rates_have_one_grid_and_the_others_their_own() -> None:
    Path("old.yaml").write_text(BLOCKS)
    assert Rates.of(Path("old.yaml")).groups() == [[0, 2], [1]]
    text = rewritten(BLOCKS, NEW, "{log: [1, 10], num: 2}")
    assert text == BLOCKS.replace("rate: 0.1\n", f"rate: {NEW}   {WAS} 0.1\n").replace(
        "[0.1, 1]", "{log: [1, 10], num: 2}"
    )
    assert rewritten(BLOCKS, None, NEW) == BLOCKS.replace("[0.1, 1]", NEW)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{dataset: iris, learning_rate: [1, 2], width: [4, 8], zip: [[learning_rate, width]]}", "advances with width"),
        ("{dataset: iris, learning_rate: [1, 2], exclude: [{learning_rate: 2}]}", "no run has these values"),
    ],
)
def test_rates_that_hang_together_with_others_are_refused(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        rewritten(text)


def test_a_path_of_the_data_must_still_lead_there() -> None:
    Path("table.csv").write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(50)))
    Path("elsewhere").mkdir()
    text = "{{name: mine, dataset: {{file: {}, target: y}}, learning_rate: 1}}"
    spec = spec_of(text.format("table.csv"))
    assert NEW in regridded(spec, Path("new.yaml"), [NEW])
    with pytest.raises(UsageError, match=r"a path of the data starts from the file's folder; write it into "):
        regridded(spec, Path("elsewhere/new.yaml"), [NEW])
    spec = spec_of(text.format(Path("table.csv").absolute()))
    assert NEW in regridded(spec, Path("elsewhere/new.yaml"), [NEW])


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a: [1,\n  2] # x\n", "[1,\n  2]"),
        ("a:\n- 1 # x\n- 2 # y\n# z\nb: 3\n", "- 1 # x\n- 2"),
        ("a:\n  b: [1]\n  c: {d: 2}\n\n\nb: 3\n", "b: [1]\n  c: {d: 2}"),
        ("a: 'x # y'\n", "'x # y'"),
        ("ä: [é, 1]", "[é, 1]"),
    ],
)
def test_the_extent_of_a_value(text: str, source: str) -> None:
    whole, root, _ = read(text, "demo.yaml")
    first = next(iter(root.value.values()))  # type: ignore[union-attr]
    assert whole[slice(*extent(whole, first))] == source  # type: ignore[arg-type]


# From the command


TEXT = """\
# A question.
dataset: digits
subset: 0.3
width: 16
optimizer: [momentum, adam]
learning_rate: [1, 10]   # too high
epochs: 4
seeds: 2
"""


def test_the_written_file_is_the_sweep_with_the_grid_of_all_intervals(folder: Path) -> None:
    Path("old.yaml").write_text(TEXT)
    found = finding.find("old.yaml", write="new.yaml", confirm=False)
    intervals = [entry["interval"] for entry in found.document()["settings"]]
    low, high = (float(f"{end:.2g}") for end in (min(low for low, _ in intervals), max(high for _, high in intervals)))
    old, new = load_spec(Path("old.yaml")), load_spec(Path("new.yaml"))
    assert (new.name, new.description, new.objective) == (old.name, old.description, old.objective)
    [before], [after] = old.blocks, new.blocks
    assert {**after.axes, "learning_rate": None} == {**before.axes, "learning_rate": None}
    rates = after.axes["learning_rate"]
    assert (rates[0], rates[-1]) == (low, high)
    assert len(rates) == round(4 * (len_decades(low, high))) + 1
    assert len(make_plan(new).runs) == 2 * 2 * len(rates)
    assert Path("new.yaml").read_text().startswith("# A question.\nname: old\ndataset: digits\n")


def len_decades(low: float, high: float) -> float:
    from math import log10

    return log10(high / low)


def test_what_was_written_is_the_next_command_and_overrides_are_told(folder: Path) -> None:
    Path("old.yaml").write_text(TEXT)
    said = find("--write", "new.yaml", "-o", "optimizer=adam", "-o", "learning_rate=0.1")
    assert said.splitlines() == [
        "wrote new.yaml",
        "  without -o optimizer=adam: the next command gives it again",
        "Next: lrsweep run new.yaml -o optimizer=adam",
    ]
    assert runner.invoke(app, ["plan", "new.yaml", "-o", "optimizer=adam"]).exit_code == 0


def test_a_file_that_is_there_stays(folder: Path) -> None:
    Path("old.yaml").write_text(TEXT)
    Path("new.yaml").write_text("mine")
    assert "new.yaml exists already" in find("--write", "new.yaml", code=2)
    Path("link.yaml").symlink_to("nowhere")
    assert "link.yaml exists already" in find("--write", "link.yaml", code=2)
    assert Path("new.yaml").read_text() == "mine"


def test_nothing_is_written_where_there_is_no_interval(folder: Path) -> None:
    Path("old.yaml").write_text(TEXT)
    said = find("--write", "new.yaml", "--low", "1e-7", "--high", "1e-6")
    assert said == "new.yaml is not written: no setting has an interval\nNext: lrsweep find old.yaml\n"
    assert not Path("new.yaml").exists()


def test_each_block_is_written_with_the_interval_of_its_own_settings(folder: Path) -> None:
    Path("old.yaml").write_text(BLOCKS.replace("iris", "digits") + "epochs: 4\nwidth: 16\nsubset: 0.3\n")
    result = finding.find("old.yaml", write="new.yaml", confirm=False)
    by = {entry["setting"]["optimizer"]: entry["interval"] for entry in result.document()["settings"]}
    sgd, adam, momentum = (block.axes["learning_rate"] for block in load_spec(Path("new.yaml")).blocks)
    assert sgd == momentum
    for rates, own in ((adam, by["adam"]), (sgd, union([tuple(by["sgd"]), tuple(by["momentum"])]))):
        assert [rates[0], rates[-1]] == [float(f"{end:.2g}") for end in own or ()]


def test_blocks_of_an_override_cannot_be_written(folder: Path) -> None:
    Path("old.yaml").write_text(TEXT)
    said = find("--write", "new.yaml", "-o", "blocks=[{width: 4}, {width: 8}]", code=2)
    assert "--write goes with the file's own blocks" in said


def test_intervals_that_lie_far_apart_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("old.yaml").write_text(TEXT)
    tested = training.range_test

    def apart(setting: dict[str, str], *others: object) -> object:
        interval = (1e-6, 1e-5) if setting["optimizer"] == "adam" else (1e-1, 1.0)
        return replace(tested(setting, *others), interval=interval, suggestion=0.01)  # type: ignore[arg-type, type-var]

    monkeypatch.setattr(training, "range_test", apart)
    said = find("--write", "new.yaml")
    assert "with grids of their own by optimizer the sweep takes 20% of the runs" in said
    assert "-o optimizer=momentum" in said


def test_intervals_that_overlap_are_not_worth_a_word(folder: Path) -> None:
    Path("old.yaml").write_text(TEXT)
    assert "far apart" not in find()


def test_grids_have_two_digits() -> None:
    assert grid((0.0012345, 98.76)) == "{log: [0.0012, 99], per_decade: 4}"
    assert json.dumps(union([None, (0.1, 1.0), (0.01, 0.2)])) == "[0.01, 1.0]"
