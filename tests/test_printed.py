"""What is printed beside the summary: plans, lists, pictures of schedules, coordinate checks, progress."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from lrsweep import catalogue
from lrsweep.analysis.cards import Col
from lrsweep.engine.schedules import factors
from lrsweep.report import words
from lrsweep.report.coordinates import print_finding, print_legend
from lrsweep.report.listing import print_drawings, print_rows
from lrsweep.report.preview import print_plan
from lrsweep.report.progress import progress
from lrsweep.spec.keys import RULES
from lrsweep.vocabulary import Choice

PLAN = {
    "path": "sweeps/width.yaml",
    "name": "width",
    "folder": "results/width",
    "axes": {"width": [16, 32], "learning_rate": [10.0**-i for i in range(9)], "seed": [0, 1, 2]},
    "runs": 54,
    "product": "2 × 9 × 3",
    "duplicates": 0,
    "counts": {"done": 4, "new": 50, "stale": 7, "failed": 1},
    "other_numerics": 0,
    "search": None,
    "added": 0,
    "dropped": 0,
    "sampling": True,
    "stacks": 6,
    "largest_stack": 9,
    "seconds": 21.3,
    "workers": 2,
    "shapes_timed": 2,
    "disk_bytes": 4_200_000,
    "fixed": {"dataset": "digits", "subset": 1.0, "clip_norm": None, "batch_size": 32, "epochs": 20},
}


def test_the_plan_in_six_lines() -> None:
    file = io.StringIO()
    print_plan(PLAN, Console(file=file, width=80))
    assert file.getvalue().splitlines() == [
        "sweeps/width.yaml · name width · results/width/",
        "  axes   width 16 32 · learning_rate 9 from 1e-08 to 1 · seed 3",
        "  fixed  dataset digits · batch 32 · 20 epochs",
        "  runs   54 = 2 × 9 × 3     done 4   new 50   stale 7   failed 1",
        "  stacks 6, up to 9 runs each",
        "  about  21 s with 2 workers (timed here: 3 steps of 2 shapes) · 4.2 MB on disk",
    ]


def test_one_epoch_is_one() -> None:
    assert words.fixed({"epochs": 1}) == ["1 epoch"]
    assert words.fixed({"epochs": 1000.0}) == ["1,000 epochs"]


@pytest.mark.parametrize(
    ("kind", "pairs", "cells"),
    [
        ("ratios", [(0.9234, 0.999), (1.5, 123.4), None], ["0.92–1.00", "1.50–123", "–"]),
        ("changes", [(-0.0123, 0.0045), (0.1, 0.25), None], ["-0.012 to +0.004", "+0.100 to +0.250", "–"]),
        ("change", [-0.0123, 0.25, float("nan")], ["-0.012", "+0.250", "–"]),
    ],
)
def test_intervals_are_written_like_what_they_are_of(kind: Any, pairs: list[Any], cells: list[str]) -> None:
    assert words.cells(Col("", pairs, kind)) == cells


def test_what_is_usual_is_the_default() -> None:
    assert {key: str(RULES[key].default) for key in words.USUAL} == {k: str(v) for k, v in words.USUAL.items()}


def test_the_plan_tells_of_runs_that_are_one() -> None:
    file = io.StringIO()
    print_plan({**PLAN, "duplicates": 1200}, Console(file=file, width=80))
    lines = file.getvalue().splitlines()
    assert lines[4] == "  alike  1,200 more, the same as one of these in all that acts: counted once"


def test_the_plan_lists_runs_when_asked() -> None:
    file = io.StringIO()
    listed = [("r1", "new", {"width": 16, "depth": 1, "learning_rate": 0.1, "seed": 0})]
    print_plan({**PLAN, "runs_list": listed}, Console(file=file, width=80))
    assert [line.split() for line in file.getvalue().splitlines()[7:9]] == [
        ["run_id", "status", "width", "learning_rate", "seed"],
        ["r1", "new", "16", "0.1", "0"],
    ]


def test_planned_runs_are_told_by_what_differs() -> None:
    texts = [None, *(f"{{at_epoch: 5, to_width: 64, rate: {rate}}}" for rate in ("keep", "warmup"))]
    listed = [
        (f"r{i}", "new", {"width": 16, "growth": text, "learning_rate": 0.1, "seed": 0}) for i, text in enumerate(texts)
    ]
    file = io.StringIO()
    plan = {**PLAN, "axes": {**PLAN["axes"], "growth": texts}, "runs_list": listed}
    print_plan(plan, Console(file=file, width=80))
    assert [line.split()[-1] for line in file.getvalue().splitlines()[-4:-1]] == ["none", "keep", "warmup"]


def test_a_finished_plan_says_so() -> None:
    file = io.StringIO()
    print_plan({**PLAN, "stacks": 0}, Console(file=file, width=80))
    assert "about  nothing to train: every run is done" in file.getvalue()


def test_a_registry_is_listed() -> None:
    file = io.StringIO()
    row = {"name": "sgd", "settings": {"weight_decay": 0.0}, "description": "p ← p − rate·g", "source": "Robbins 1951"}
    print_rows([row], Console(file=file, width=80))
    assert file.getvalue().splitlines() == ["sgd · weight_decay 0", "  p ← p − rate·g", "  Robbins 1951", ""]


def test_a_wide_terminal_gets_the_meanings_of_settings() -> None:
    file = io.StringIO()
    settings, meanings = {"eps": 1e-8, "momentum": 0.9}, {"eps": "keeps it finite", "momentum": "is kept"}
    row = {"name": "rule", "settings": settings, "meanings": meanings, "description": "It moves.", "source": "torch"}
    print_rows([row], Console(file=file, width=100))
    lines = ["rule", "  It moves.", "  torch", "  eps 1e-08     keeps it finite", "  momentum 0.9  is kept", ""]
    assert file.getvalue().splitlines() == lines


def test_a_long_entry_breaks_between_settings_formulas_and_paragraphs() -> None:
    file = io.StringIO()
    settings = {"alpha": 0.99, "momentum_decay": 0.004}
    text = "s ← s + g²; p ← p − rate·g / (√s + eps).\nThen it rests."
    row = {"name": "rule", "settings": settings, "description": text, "source": "Duchi et al. 2011; torch"}
    print_rows([row], Console(file=file, width=34))
    assert file.getvalue().splitlines() == [
        "rule · alpha 0.99",
        "  momentum_decay 0.004",
        "  s ← s + g²;",
        "  p ← p − rate·g / (√s + eps).",
        "  Then it rests.",
        "  Duchi et al. 2011; torch",
        "",
    ]


@pytest.mark.parametrize("what", ["datasets", "optimizers", "schedules"])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_of_a_list_is_wider_than_the_terminal(what: str, width: int) -> None:
    file = io.StringIO()
    print_rows(catalogue.entries(what), Console(file=file, width=width))
    assert max(map(cell_len, file.getvalue().splitlines())) <= min(width, 100)


def drawn(width: int, encoding: str = "utf-8") -> str:
    """All schedules as pictures."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, newline="")
    print_drawings(list(catalogue.drawings()), catalogue.entries("schedules"), Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(("width", "beside"), [(40, 1), (80, 2), (120, 3)])
def test_pictures_of_schedules_stand_side_by_side_as_fit(width: int, beside: int) -> None:
    lines = drawn(width).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert max(line.count("└") for line in lines) == beside
    assert sum(line.count("└") for line in lines) == 17  # 13 schedules, two more modes, a momentum, a loss


def test_pictures_of_schedules_have_neither_colour_nor_more_than_ascii_where_that_is_asked() -> None:
    assert "\x1b" not in drawn(80)
    assert "   1 |****" in drawn(80, "ascii")


def test_drawings_are_the_tables_that_runs_have() -> None:
    found = {(one["schedule"], *one["settings"].values()): one for one in catalogue.drawings()}
    choice = Choice("triangular", (("mode", "triangular2"), ("cycles", 3), ("start", 0.25), ("end", 0.1)))
    assert found["triangular", "triangular2"]["factors"] == factors(choice, 101).tolist()
    assert found["one_cycle",]["momenta"][0] == 0.95
    assert min(found["one_cycle",]["momenta"]) == pytest.approx(0.85, abs=1e-3)


def test_what_reacts_is_drawn_on_a_loss_that_falls_stands_still_rises_and_falls() -> None:
    found = {one["schedule"]: one for one in catalogue.drawings() if "loss" in one}
    assert found.keys() == {"plateau", "bold_driver"}
    plateau, bold = found["plateau"]["factors"], found["bold_driver"]["factors"]
    assert (plateau[0], plateau[26], plateau[27], plateau[-1]) == (1, 1, 0.1, 0.1)  # 11 epochs no better than the 16th
    assert bold[16] == pytest.approx(1.05**15)  # 15 falls
    assert bold[29] == bold[16]  # equal losses
    assert bold[32] == pytest.approx(bold[29] / 8)  # 3 rises
    assert bold[-1] == pytest.approx(bold[32] * 1.05**8)


LAYER = {"slopes": [0.0, -0.4], "slope": -0.4, "activations": [[1.0, 2.0], [1.0, 0.0123], [1.0, 300.0]]}
FINDING = {
    "setting": {"parametrization": "mup", "optimizer": "adam", "depth": 1},
    **{"rate": 0.01, "widths": [8, 16, 32], "widths_from": "file", "seeds": 3, "advice": "mup: so it is"},
    "layers": [{"layer": "hidden 1", **LAYER, "verdict": "passes"}, {"layer": "logits", **LAYER, "verdict": "fails"}],
}


def found(finding: dict[str, Any], width: int = 80) -> list[str]:
    """What is printed of a coordinate check's finding."""
    file = io.StringIO()
    print_finding(finding, Console(file=file, width=width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_coordinate_check_is_a_table_of_layers_and_a_sentence() -> None:
    assert found(FINDING) == [
        "mup, adam, depth 1 · rate 0.01 · 3 seeds",
        "width        8      16   32  slope",
        "hidden 1  2.00  0.0123  300  -0.40  passes",
        "logits    2.00  0.0123  300  -0.40  ▲ fails",
        "",
        "mup: so it is.",
        "",
    ]


def test_widths_that_are_not_the_files_are_told() -> None:
    assert found({**FINDING, "widths_from": "base_width"})[0].endswith("3 seeds · base_width × 1 to 16")


def test_a_slope_that_cannot_be_told_is_a_dash() -> None:
    lost = {**LAYER, "layer": "logits", "slope": float("nan"), "activations": [[float("inf")]] * 3, "verdict": "fails"}
    assert found({**FINDING, "layers": [lost]})[2].split() == ["logits", *"––––", "▲", "fails"]


@pytest.mark.parametrize("width", [36, 80])
def test_a_coordinate_check_fits_the_terminal(width: int) -> None:
    many = {**FINDING, "widths": [2**i for i in range(12)]}
    layers = [{**LAYER, "layer": "hidden 1", "activations": [[0.0, 1.23e-5]] * 12, "verdict": "borderline"}]
    lines = found({**many, "layers": layers}, width)
    assert max(map(cell_len, lines)) <= width
    assert "▲ borderline" in lines[-4]


def test_the_legend_tells_what_passes() -> None:
    file = io.StringIO()
    print_legend(3, Console(file=file, width=80))
    assert "the largest of steps 1 to 3" in " ".join(file.getvalue().split())
    assert "passes below 0.1 in size and fails above 0.3" in " ".join(file.getvalue().split())


def test_progress_is_silent_where_nobody_watches() -> None:
    file = io.StringIO()
    with progress(10, console=Console(file=file)) as update:
        update(5, 10, "adam 0.1", 0)
    assert file.getvalue() == ""


def test_progress_shows_runs_pace_and_the_best_and_is_gone_at_the_end() -> None:
    file = io.StringIO()
    with progress(10, console=Console(file=file, width=80, force_terminal=True, _environ={"TERM": "xterm"})) as update:
        update(5, 10, "adam [/red]", 2)
    text = file.getvalue()
    assert "5/10 runs" in text
    assert "best so far  adam [/red] · diverged 2" in text
    assert text.endswith("\x1b[1A\x1b[2K")


def test_progress_leaves_standard_output_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(10, console=Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})):
        print("data")
    assert capsys.readouterr().out == "data\n"


def test_plan_and_list_do_without_pandas() -> None:
    code = "import sys; import lrsweep.report.listing, lrsweep.report.preview; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
