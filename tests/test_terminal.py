"""What is printed fits, says what the answer says, and does nothing that a name in a sweep file would have it do."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from sweeps_made_up import answered, rows

from lrsweep import catalogue
from lrsweep.analysis.answer import Answer
from lrsweep.engine.schedules import factors
from lrsweep.report import drawing
from lrsweep.report.coordinates import print_finding, print_legend
from lrsweep.report.listing import print_drawings, print_rows
from lrsweep.report.progress import progress
from lrsweep.report.terminal import print_plan, print_summary
from lrsweep.vocabulary import Choice, UsageError

VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, 0.7], 1.0: [9.0, 8.0, None]}
WORSE = {rate: [None if value is None else value + 0.05 for value in values] for rate, values in VALLEY.items()}
RISING = {0.1: [0.9, 0.91, 0.92], 1.0: [0.5, 0.51, 0.52]}
PLAN = {
    "path": "sweeps/width.yaml",
    "name": "width",
    "folder": "results/width",
    "axes": {"width": [16, 32], "learning_rate": [10.0**-i for i in range(9)], "seed": [0, 1, 2]},
    "runs": 54,
    "product": "2 × 9 × 3",
    "duplicates": 0,
    "counts": {"done": 4, "new": 50, "stale": 7, "failed": 1},
    "stacks": 6,
    "largest_stack": 9,
    "seconds": 21.3,
    "workers": 2,
    "shapes_timed": 2,
    "disk_bytes": 4_200_000,
}


def two_optimizers(**told: Any) -> Answer:
    return answered(rows(WORSE, optimizer="sgd"), rows(VALLEY, optimizer="adam"), **told)


def many_settings() -> Answer:
    return answered(
        *(
            rows(VALLEY, width=width, activation=activation, **{"schedule": "cosine", "optimizer.weight_decay": decay})
            for width in (16, 32, 64)
            for activation in ("relu", "logistic", "tanh")
            for decay in (0.0, 0.0001, 0.01)
        )
    )


def printed(answer: Answer, width: int = 80, encoding: str = "utf-8", **how: Any) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, newline="")
    print_summary(answer, Console(file=file, width=width), **how)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("make", [two_optimizers, many_settings, lambda: answered(rows(VALLEY))])
def test_no_line_is_wider_than_the_terminal(make: Any, width: int) -> None:
    assert max(map(cell_len, printed(make(), width, show_all=True).splitlines())) <= width


def test_sentences_do_not_grow_with_the_terminal() -> None:
    lines = printed(answered(rows({0.1: [0.5, 0.6, None], 1.0: [0.9, None, None]})), 200).splitlines()
    assert max(len(line) for line in lines if "▲" in line) <= 80


def test_the_order_is_question_answer_doubt_picture_action_files() -> None:
    answer = answered(rows(RISING, optimizer="sgd"), rows(VALLEY))
    text = printed(replace(answer, folder="results/x"), seconds=8.1, trained=18)
    parts = ["made-up · digits, all 1,079 training rows · 18 runs in 8.1 s", "objective val_loss at the final epoch"]
    parts += ["best rate", "▲ sgd: The best rate is the highest tried", "val_loss against learning_rate", "● best"]
    parts += ["val_loss by epoch", "Use adam at 0.01", "test accuracy 0.810", "Files: results/x/"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_best_epoch_is_not_what_was_tested() -> None:
    """The test rows are measured once, after the last epoch."""
    runs = [row | {"best_val_loss": row["val_loss"] / 2} for row in rows({0.01: [0.1, 0.2], 0.1: [0.3, 0.4]})]
    assert "with that choice at the final epoch." in printed(answered(runs, select="best"))
    assert "with that choice." in printed(answered(runs))


def test_stale_runs_are_shown_with_all() -> None:
    answer = two_optimizers()
    stale = replace(answer, stale=answer.runs.head(2))
    ids = list(answer.runs["run_id"].head(2))
    assert all(run_id in printed(stale, show_all=True) for run_id in ids)
    assert not any(run_id in printed(stale) for run_id in ids)


def test_the_best_setting_stands_first_with_its_numbers() -> None:
    lines = printed(two_optimizers()).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("optimizer"))
    assert lines[at + 1].split() == [
        "adam",
        "0.01",
        "none",
        "0.110",
        "±",
        "0.010",
        "0.900",
        "0.1",
        "1",
        "of",
        "12",
    ]
    assert lines[at + 2].split()[:2] == ["sgd", "0.01"]


def test_an_edge_is_marked_in_the_table_and_told_beneath() -> None:
    text = printed(answered(rows(RISING, optimizer="sgd"), rows(VALLEY)))
    assert "1 ▲" in text
    assert "▲ sgd: The best rate is the highest tried (1), so it is not bracketed: add 10." in " ".join(text.split())


def test_where_only_rates_vary_the_table_is_of_rates() -> None:
    lines = printed(answered(rows(VALLEY))).splitlines()
    assert [line.split()[0] for line in lines[3:8]] == ["rate", "0.001", "0.01", "0.1", "1"]
    assert "● best" in lines[5]
    assert "1 of 3" in lines[7]


def test_a_second_table_has_every_rate_of_every_setting() -> None:
    text = printed(two_optimizers(), show_all=True)
    assert text.count("● best") == 3  # two settings, and the legend
    assert sum(line.split()[1:2] == ["0.001"] for line in text.splitlines()) == 2


def test_by_shows_the_best_setting_for_each_value() -> None:
    answer = answered(*(rows(v, width=w, optimizer=o) for w in (16, 32) for o, v in (("sgd", WORSE), ("adam", VALLEY))))
    lines = printed(answer, by="width").splitlines()
    assert [line.split()[:2] for line in lines[3:6]] == [["width", "optimizer"], ["16", "adam"], ["32", "adam"]]


def test_the_best_of_a_key_are_chosen_by_rank_and_shown_in_its_order() -> None:
    best = {
        "none": WORSE,
        "keep": {rate: [None if v is None else v + 0.2 for v in vs] for rate, vs in VALLEY.items()},
        "warmup": VALLEY,
    }
    answer = answered(*(rows(values, growth=growth) for growth, values in best.items()))
    assert [line.split()[0] for line in printed(answer, by="growth", top=1).splitlines()[3:5]] == ["growth", "warmup"]
    lines = printed(answer, by="growth", top=2).splitlines()
    assert [line.split()[0] for line in lines[4:6]] == ["none", "warmup"]


def grows(*plans: str) -> Answer:
    """A sweep over growth, each `at_epoch to_width rate` or none, with long words in other columns."""
    texts = ["{{at_epoch: {}, to_width: {}, rate: {}}}".format(*plan.split()) if plan else None for plan in plans]
    return answered(
        *(
            rows(values, growth=text, schedule="warm_restarts", width=32, parametrization=name)
            for name, values in (("standard", VALLEY), ("mup", WORSE))
            for text in texts
        )
    )


@pytest.mark.parametrize(
    ("plans", "cells"),
    [
        (["", "5 64 keep", "5 64 warmup"], ["none", "keep", "warmup"]),
        (["5 64 keep", "6 64 keep"], ["epoch 5", "epoch 6"]),
        (["5 64 keep", "6 128 restart"], ["epoch 5, to 64, keep", "epoch 6, to 128, restart"]),
        (["", "5 64 keep"], ["none", "epoch 5, to 64"]),
    ],
)
def test_a_mapping_is_told_by_what_differs(plans: list[str], cells: list[str]) -> None:
    lines = printed(grows(*plans)).splitlines()
    table = lines[3 : lines.index("", 3)]
    assert len(table) == 1 + 2 * len(plans)
    assert {cell for cell in cells if any(f"{cell}  " in line for line in table)} == set(cells)
    assert "accuracy" in table[0]
    assert ("tied with" in table[0]) == (max(map(len, cells)) < 15)


def test_rates_by_layer_are_told_by_what_differs() -> None:
    texts = ["1", "{decay: 0.5}", "{first: 0.1, hidden: 1, last: 1}", "{first: 0.1, hidden: 2, last: 1}"]
    lines = printed(answered(*(rows(VALLEY, layer_rates=text) for text in texts)), show_all=True).splitlines()
    told = ["1", "decay 0.5", "first 0.1", "first 0.1, hidden 2"]
    assert [line.split("   ")[0].rstrip().removesuffix("  0.01") for line in lines[4:8]] == told


def test_pictures_are_named_by_what_differs_among_them() -> None:
    text = printed(grows("", "5 64 keep"))
    picture = text[text.index("against learning_rate") : text.index("val_loss by epoch")]
    assert "parametrization standard" in " ".join(picture.split())
    assert "growth epoch 5, to 64" in " ".join(re.sub("[⠀-⣿│┤└━─●×↑]|[0-9.]+ [│┤]", " ", picture).split())
    assert not {"warm_restarts", "[...]", "width 32", "at_epoch"} & {*re.split(r"  +|, ", picture)}


def test_stale_and_planned_runs_are_told_by_what_differs() -> None:
    answer = grows("", "5 64 keep", "5 64 warmup")
    text = printed(replace(answer, stale=answer.runs.iloc[::12]), width=120, show_all=True)
    stale = text[text.index("Stale runs") :]
    assert [
        word for line in stale.splitlines()[2:8] for word in line.split() if word in ("none", "keep", "warmup")
    ] == [*("keep", "keep", "warmup", "warmup", "none", "none")]
    file, texts = io.StringIO(), answer.about["axes"]["growth"]
    plan = {**PLAN, "axes": {**PLAN["axes"], "growth": texts}}
    listed = [
        (f"r{i}", "new", {"width": 16, "growth": text, "learning_rate": 0.1, "seed": 0}) for i, text in enumerate(texts)
    ]
    print_plan({**plan, "runs_list": listed}, Console(file=file, width=80))
    assert [line.split()[-1] for line in file.getvalue().splitlines()[-4:-1]] == ["none", "keep", "warmup"]


def test_by_refuses_what_does_not_vary() -> None:
    with pytest.raises(UsageError, match="--by depth: does not vary between settings; choose from optimizer"):
        printed(two_optimizers(), by="depth")


def test_top_shows_so_many_and_says_what_is_left() -> None:
    lines = printed(many_settings(), top=2).splitlines()
    assert lines[5] != ""
    assert lines[6] == ""
    assert "25 more settings: --top 27 shows them all." in lines


def test_each_dataset_has_its_own_sentence() -> None:
    text = printed(answered(rows(WORSE, dataset="hard"), rows(VALLEY, dataset="easy")))
    assert "For hard use adam at 0.01" in text
    assert "For easy use adam at 0.01" in text


def test_nothing_to_recommend_is_said_without_a_picture() -> None:
    text = printed(answered(rows({0.1: [None, None], 1.0: [None, None]})))
    assert "▲ No run finished, so no rate can be recommended" in text
    assert "Use" not in text
    assert "against" not in text


def test_failures_are_told_with_the_first_reason() -> None:
    values = rows(VALLEY)
    values[0] |= {"status": "failed", "reason": "MemoryError: no"}
    assert "▲ 1 run failed: MemoryError: no" in printed(answered(values))


def test_no_runs_yet_is_a_summary_too() -> None:
    full = two_optimizers()
    counts = {**full.counts, "done": 0, "new": 24}
    empty = Answer(full.about, counts, full.runs[:0], full.curves[:0], full.ranking[:0], {"settings": []})
    assert "▲ 24 runs not trained yet" in printed(empty)


def test_a_pipe_gets_no_colour() -> None:
    assert "\x1b" not in printed(two_optimizers())


def test_names_are_text_not_markup_nor_control() -> None:
    text = printed(answered(rows(VALLEY, dataset="[/red]a\x1b[2Jb\r\u202e"), name="[bold]x"))
    assert "[bold]x · [/red]a�[2Jb��" in text
    assert not {"\x1b", "\r", "\u202e"} & {*text}


def test_a_console_without_unicode_gets_ascii() -> None:
    text = printed(answered(rows(RISING, optimizer="sgd"), rows(VALLEY)), encoding="ascii")
    assert "0.110 ~ 0.010" in text
    assert "! sgd: The best rate" in text


def test_a_dumb_terminal_gets_plain_text() -> None:
    file = io.StringIO()
    print_summary(two_optimizers(), Console(file=file, width=80, force_terminal=True, _environ={"TERM": "dumb"}))
    assert "\x1b" not in file.getvalue()


def test_the_picture_marks_the_best_and_the_lost() -> None:
    picture = drawing.panel([0.1, 1, 10], [1, 0.01, float("inf")], 1, [0.1, 1], (9, 3), (0.01, 1), True, (0.1, 10))
    assert [line.find(drawing.BEST) for line in picture] == [-1, -1, 4, -1]
    assert picture[0].endswith(drawing.LOST)
    assert picture[3] == "━━━━━────"


def test_the_picture_marks_where_a_loss_leaves_it() -> None:
    picture = drawing.panel([0.1, 1, 10], [0.1, 1e30, 0.2], 0, [], (9, 3), (0.1, 2), True, (0.1, 10))
    assert picture[0][4] == drawing.ABOVE


def test_the_picture_of_a_score_has_the_bad_at_the_bottom() -> None:
    picture = drawing.panel([0.1, 1, 10], [0.5, 0.9, float("-inf")], 1, [], (9, 3), (0.0, 0.9), False, (0.1, 10))
    assert picture[0][4] == drawing.BEST
    assert picture[2][8] == drawing.LOST


def test_the_plan_in_five_lines() -> None:
    file = io.StringIO()
    print_plan(PLAN, Console(file=file, width=80))
    assert file.getvalue().splitlines() == [
        "sweeps/width.yaml · name width · results/width/",
        "  axes   width 16 32 · learning_rate 9 from 1e-08 to 1 · seed 3",
        "  runs   54 = 2 × 9 × 3     done 4   new 50   stale 7   failed 1",
        "  stacks 6, up to 9 runs each",
        "  about  21 s with 2 workers (timed here: 3 steps of 2 shapes) · 4.2 MB on disk",
    ]


def test_the_plan_tells_of_runs_that_are_one() -> None:
    file = io.StringIO()
    print_plan({**PLAN, "duplicates": 1200}, Console(file=file, width=80))
    lines = file.getvalue().splitlines()
    assert lines[3] == "  alike  1,200 more, the same as one of these in all that acts: counted once"


def test_the_plan_lists_runs_when_asked() -> None:
    file = io.StringIO()
    listed = [("r1", "new", {"width": 16, "depth": 1, "learning_rate": 0.1, "seed": 0})]
    print_plan({**PLAN, "runs_list": listed}, Console(file=file, width=80))
    assert [line.split() for line in file.getvalue().splitlines()[6:8]] == [
        ["run_id", "status", "width", "learning_rate", "seed"],
        ["r1", "new", "16", "0.1", "0"],
    ]


def test_a_finished_plan_says_so() -> None:
    file = io.StringIO()
    print_plan({**PLAN, "stacks": 0}, Console(file=file, width=80))
    assert "about  nothing to train: every run is done" in file.getvalue()


def test_a_registry_is_listed() -> None:
    file = io.StringIO()
    row = {"name": "sgd", "settings": {"weight_decay": 0.0}, "description": "p ← p − rate·g", "source": "Robbins 1951"}
    print_rows([row], Console(file=file, width=80))
    assert file.getvalue().splitlines() == ["sgd · weight_decay 0", "  p ← p − rate·g", "  Robbins 1951", ""]


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
    assert max(map(cell_len, file.getvalue().splitlines())) <= min(width, 80)


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


def test_a_graph_goes_from_the_left_to_the_right_and_up_to_the_top() -> None:
    assert drawing.graph([2, 0], (4, 2), (0, 2)) == ["   2 ┤⠑⢄", "   0 ┤  ⠑⢄", "     └────"]


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
    code = "import sys; import lrsweep.report.terminal; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
