"""Where the carets stand: under the value that a mistake is about, wherever in the file it was written."""

from pathlib import Path

import pytest
from plan_cases import planned
from soon import takes_at_most

from lrsweep.vocabulary import SpecError


def marked(folder: Path, text: str, *overrides: str) -> list[tuple[str, str]]:
    """The start of each mistake's line in the file (or `-o KEY`), with what its caret underlines; in their order."""
    with pytest.raises(SpecError) as caught:
        planned(folder, text, *overrides)
    found = []
    for one in sorted(caught.value.problems, key=lambda problem: (problem.origin, problem.line, problem.column)):
        line = (one.text or caught.value.text).split("\n")[one.line - 1]
        found.append((one.origin or line[:8].strip(), line[one.column - 1 :][: one.width]))
    return found


GROWTH = """
epochs: 6
width: 32
growth:
  - none
  - at_epoch: 7
    to_width: 64
  - at_epoch: 3
    to_width: 24
"""


def test_a_mistake_of_an_entry_of_a_list_is_marked_there(tmp_path: Path) -> None:
    assert marked(tmp_path, GROWTH) == [("- at_e", "7"), ("to_w", "24")]


@pytest.mark.parametrize(
    ("text", "under"),
    [
        ("growth: {at_epoch: 30, to_width: 128}", "30"),
        ("growth: [{at_epoch: 30, to_width: 128}, {at_epoch: [3, 40], to_width: [200, 128]}]", "30 40"),
        ("growth: {at_epoch: {linear: [18, 20], num: 3}, to_width: 128}", "{"),
        ("growth: {at_epoch: 3, to_width: [128, 64]}", "64"),
        ("growth: {at_epoch: 3, to_width: 128}\ndepth: [1, 0]", "0"),
        ("growth: {at_epoch: 3, to_width: 128}\nparametrization: [standard, mup]", "mup"),
        ("growth: {at_epoch: 3, to_width: 128, rate: [keep, {scale: [2, 1e60]}]}", "1e60"),
        ("growth: {at_epoch: 3, to_width: 128, rate: {scale: 1e60}}", "1e60"),
        ("growth: [none, {at_epoch: 3, to_width: 9007199254740992}]", "9007199254740992"),
        ("schedule: [cosine, {name: linear, warmup: [0.1, 40]}, {name: linear, warmup: 41}]", "40 41"),
        ("schedule: [one_cycle, {name: one_cycle, base_momentum: [0.9, 0.96]}]", "0.96"),
        ("schedule: [one_cycle, {name: one_cycle, max_momentum: 0.5}]", "{"),
        ("schedule: [cosine, one_cycle]\noptimizer: [adam, {name: adam, beta2: [0.9, 0.99999999]}]", "0.99999999"),
        ("layer_rates: [1, {first: [0.1, 1e-60]}, {decay: 0.5}]", "1e-60"),
        ("layer_rates: [{last: 1}, {decay: [0.5, 1e20]}]\ndepth: 2", "1e20"),
        ("learning_rate: [0.1, 1e-60, 0.2]", "1e-60"),
        ("learning_rate: {log: [1e-60, 0.1], num: 2}", "{"),
        ("clip_norm: [none, 1e-60]", "1e-60"),
        ("depth: 9007199254740992", "9007199254740992"),
        ("subset: [0.5, 61]", "61"),
        ("validation: 0.001", "0.001"),
    ],
)
def test_a_mistake_is_marked_at_the_value_that_it_is_about(tmp_path: Path, text: str, under: str) -> None:
    found = [what for _, what in marked(tmp_path, text)]
    assert found == under.split()


@pytest.mark.parametrize(
    ("block", "under"),
    [
        ("growth: {at_epoch: 30, to_width: 128}", "30"),
        ("schedule: {name: cosine, warmup: 40}", "40"),
        ("optimizer: {name: adam, beta2: 0.99999999}", "0.99999999"),
    ],
)
def test_a_mistake_in_a_block_is_marked_there(tmp_path: Path, block: str, under: str) -> None:
    text = f"blocks:\n  - {{depth: 2}}\n  - {{{block}}}\n"
    assert marked(tmp_path, text) == [(f"- {{{block}"[:6], under)]
    assert marked(tmp_path, "", f"blocks=[{{}}, {{{block}}}]") == [("-o blocks", under)]
    assert marked(tmp_path, text, block.replace(": ", "=", 1)) == [(f"-o {block.partition(':')[0]}", under)]


def test_a_mistake_that_several_blocks_have_from_the_file_is_told_once(tmp_path: Path) -> None:
    text = "growth: {at_epoch: 30, to_width: 128}\nblocks: [{depth: 1}, {depth: 2}]"
    assert marked(tmp_path, text) == [("growth:", "30")]


def test_the_same_mistake_in_two_blocks_is_told_of_each(tmp_path: Path) -> None:
    text = "blocks:\n  - {depth: 1, clip_norm: 1e60}\n  - {depth: 2, clip_norm: 1e60}"
    assert [what for _, what in marked(tmp_path, text)] == ["1e60", "1e60"]


def test_a_dataset_that_cannot_be_read_is_marked(tmp_path: Path) -> None:
    lost = "- dataset: [{file: lost.npz}]\n  - dataset:\n    - {file: d.npz}\n    - file: lost.csv\n      target: y"
    assert marked(tmp_path, f"blocks:\n  {lost}") == [("- data", "{"), ("- fi", "f")]


def test_thousands_of_mistakes_are_told_in_time(tmp_path: Path) -> None:
    entries = ", ".join(f"{{at_epoch: {30 + i}, to_width: 128}}" for i in range(2500))

    def told() -> None:
        with pytest.raises(SpecError) as caught:
            planned(tmp_path, f"growth: [{entries}]\nseeds: 1")
        assert len(caught.value.problems) == 2500

    assert takes_at_most(3, told)
