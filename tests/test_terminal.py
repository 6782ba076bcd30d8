"""What is printed fits, says what the answer says, and does nothing that a name in a sweep file would have it do."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from summaries import CARDS, CHECKS, RISING, VALLEY, WORSE, answered, coloured, printed, table, told
from sweeps_made_up import answered as made
from sweeps_made_up import rows

from lrsweep.analysis.answer import Answer
from lrsweep.analysis.cards import Col
from lrsweep.report.printer import marked
from lrsweep.report.terminal import print_summary
from lrsweep.vocabulary import UsageError


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


@pytest.mark.parametrize("width", [20, 40, 80, 120, 160])
@pytest.mark.parametrize("make", [two_optimizers, many_settings, lambda: answered(rows(VALLEY))])
def test_no_line_is_wider_than_the_terminal(make: Any, width: int) -> None:
    assert max(map(cell_len, printed(told(make()), width, show_all=True).splitlines())) <= width


def test_sentences_do_not_grow_with_the_terminal() -> None:
    lines = printed(answered(rows({0.1: [0.5, 0.6, None], 1.0: [0.9, None, None]})), 200).splitlines()
    assert max(len(line) for line in lines if "▲" in line) <= 80


def test_the_order_is_the_readers() -> None:
    answer = replace(told(answered(rows(RISING, optimizer="sgd"), rows(VALLEY))), folder="results/x")
    text = printed(answer, seconds=8.1, trained=18)
    parts = ["made-up · digits, all 1,079 training rows · 18 runs in 8.1 s", "objective val_loss at the final epoch"]
    parts += ["rates 0.001 0.01 0.1 1", "best rate", "▲ sgd: The best rate is the highest tried"]
    parts += ["val_loss against learning_rate", "● best", "val_loss by epoch", "No optimizer can be told from adam."]
    parts += [
        "At 0.01 val_loss is within 5%",
        "Use adam at 0.01",
        "test accuracy 0.810",
        "expected best_val_accuracy",
        "Files: results/x/",
    ]
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
    found = table(printed(two_optimizers()), "optimizer")
    assert found[1] == ["adam", "0.01", "none", "0.110", "±", "0.010", "0.900", "0.1", "1", "of", "12"]
    assert found[2][:2] == ["sgd", "0.01"]
    assert " ".join(found[3]) == "In order of the mean, which alone does not say that settings differ."


def test_a_wider_terminal_gets_more_columns() -> None:
    heads = [" ".join(table(printed(told(two_optimizers()), width), "optimizer")[0]) for width in (56, 80, 120, 200)]
    assert heads == [
        "optimizer best rate tied with val_loss accuracy",
        "optimizer best rate tied with fitted val_loss accuracy stable to",
        "optimizer best rate tied with fitted val_loss accuracy stable to diagnosis epochs to within 5% diverged",
        "optimizer best rate tied with fitted fitted interval val_loss accuracy 95% interval stable to diagnosis "
        "epochs to within 5% steps to within 5% diverged",
    ]


def test_seeds_have_a_column_where_they_differ_among_settings() -> None:
    """Else the head says how many there are."""
    few = {rate: values[:2] for rate, values in VALLEY.items()}
    text = printed(answered(rows(few, optimizer="sgd"), rows(VALLEY)), 200)
    assert "seeds" in table(text, "optimizer")[0]


def test_names_stay_where_there_is_hardly_any_room() -> None:
    assert [line[0] for line in table(printed(two_optimizers(), 20), "optimizer")][1:3] == ["adam", "sgd"]


def test_an_edge_is_marked_in_the_table_and_told_beneath() -> None:
    text = printed(answered(rows(RISING, optimizer="sgd"), rows(VALLEY)))
    assert "1 ▲" in text
    said = "▲ sgd: The best rate is the highest tried (1), so it is not bracketed: add 10."
    assert said in " ".join(text.split())


def test_an_edge_comes_with_the_grid_that_brackets_it() -> None:
    fine = {0.01: [0.9, 0.91], 0.0316228: [0.5, 0.51], 0.1: [0.3, 0.31]}
    text = printed(answered(rows(fine, optimizer="sgd"), rows(fine)), 40)
    assert "\n  -o 'learning_rate={log: [0.01, 1], num: 5}'\n" in text
    assert "\n  -o 'extend={until_bracketed: true}'\n" in text
    assert "▲ Use" in text
    assert "  -o " not in printed(answered(rows(VALLEY)))


def test_an_extension_that_came_to_its_end_is_to_go_farther() -> None:
    text = printed(answered(rows(RISING), extend={"max_decades": 0.5}))
    assert "\n  -o 'extend={until_bracketed: true, max_decades: 1}'\n" in text
    assert "learning_rate=" not in text


def test_an_extension_that_ended_for_another_reason_is_not_to_go_farther() -> None:
    """The next rate, 10, would have been within two decades."""
    assert "  -o " not in printed(answered(rows(RISING), extend={"max_decades": 2.0}))


def test_beyond_a_highest_rate_that_breaks_training_no_grid_is_proposed() -> None:
    answer = made(rows({0.1: [3.0, 3.1], 1.0: [2.9, 3.0], 10.0: [2.5, 2.6]}))
    text = printed(answer)
    assert answer.entries[0]["edge"] == "high"
    assert "learning_rate=" not in text
    assert "Even the best rate breaks training: try lower rates" in " ".join(text.split())


def test_a_choice_of_no_use_is_no_good_news() -> None:
    answer = answered(rows(VALLEY))
    useless = {"advice": "No rate tried is of use.", "diagnosis": "collapsed"}
    document = {**answer.recommendation, "settings": [answer.entries[0] | useless]}
    assert "\n▲ No rate tried is of use.\n" in printed(replace(answer, recommendation=document))


def test_where_settings_have_grids_of_their_own_no_single_one_brackets() -> None:
    text = printed(answered(rows(RISING, optimizer="sgd"), rows(VALLEY)))
    assert "learning_rate=" not in text
    assert "\n  -o 'extend={until_bracketed: true}'\n" in text


def test_what_a_best_rate_at_an_edge_says_is_coloured_as_a_warning() -> None:
    text = coloured(answered(rows(RISING)))
    assert re.search(r"\x1b\[1;33m[^\x1b]*The best rate is the highest", text)
    assert re.search(r"\x1b\[1;33m[^\x1b]*Use adam", text)
    assert re.search(r"\x1b\[1;32m[^\x1b]*Use adam", coloured(answered(rows(VALLEY))))


def test_times_is_no_sign_of_a_lost_run() -> None:
    assert marked("× 1.2 2 × 9, 1.6 × the best").spans == []
    assert len(marked("×  × lost").spans) == 2


def test_what_does_not_vary_is_told_unless_it_is_usual() -> None:
    usual = {"subset": 1.0, "depth": 1, "clip_norm": None}
    answer = answered(rows(VALLEY, **usual, width=32, schedule="cosine", batch_size=16, epochs=9))
    line = "rates 0.001 0.01 0.1 1 · optimizer adam · width 32 · schedule cosine · batch 16"
    assert printed(answer).splitlines()[2:4] == [line, "9 epochs"]
    assert "depth 3" in printed(answered(rows(VALLEY, depth=3)))


def test_the_table_of_a_card_is_shown_where_it_says_more_than_the_table_of_settings() -> None:
    lines = printed(told(two_optimizers())).splitlines()
    at = lines.index("No optimizer can be told from adam.")
    assert lines[at + 1 : at + 5] == ["Lower the rate.", "width  loss", "   16  5.0%", "   32   20%"]


def test_the_first_sentence_of_such_a_card_is_said_where_it_has_a_number_that_the_title_lacks() -> None:
    alike, more = (replace(CARDS[1], title="By 1.5.", sentences=[text, "More."]) for text in ("It is 1.5.", "Of 2.5."))
    assert "It is 1.5." not in printed(replace(two_optimizers(), cards=(alike,)))
    lines = printed(replace(two_optimizers(), cards=(more,))).splitlines()
    assert lines[lines.index("By 1.5.") + 1] == "Of 2.5."
    assert "More." not in lines


def test_all_shows_the_cards_in_full() -> None:
    lines = printed(told(two_optimizers()), show_all=True).splitlines()
    at = lines.index("No optimizer can be told from adam.")
    assert [line.strip() for line in lines[at + 1 : at + 4]] == ["sgd is worse in 2 of 3 seeds.", "ratio", "1.6"]
    assert "By half." in lines


def long_table() -> Answer:
    """Whose card has 28 rows: sgd with 14 widths, then adam, which is best, with 14 others."""
    columns = [Col("optimizer", ["sgd"] * 14 + ["adam"] * 14, "setting"), Col("width", [*range(16, 44)], "setting")]
    return replace(two_optimizers(), cards=(replace(CARDS[1], table=columns),))


def test_a_long_table_of_a_card_begins_with_the_best_family() -> None:
    found = table(printed(long_table()), "optimizer", "width")
    assert found[1:13] == [["adam", str(width)] for width in range(30, 42)]
    assert " ".join(found[13]) == "16 more rows: --all and the page have them."


def test_a_long_table_of_a_card_is_whole_with_all() -> None:
    text = printed(long_table(), show_all=True)
    assert len(table(text, "optimizer", "width")) == 1 + 28
    assert "more row" not in text


def test_what_has_no_room_beside_the_best_rate_is_said() -> None:
    assert "A wider terminal shows more columns." in printed(two_optimizers(), 48)
    assert "A wider terminal" not in printed(two_optimizers(), 80)


def test_ties_come_before_scores_where_names_are_long() -> None:
    head = " ".join(table(printed(answered(*LONG_NAMES), 66), "optimizer")[0])
    assert head.endswith("best rate tied with val_loss")


LONG_NAMES = [
    rows(VALLEY, schedule=schedule, activation="leaky_relu", optimizer=optimizer)
    for schedule in ("warm_restarts", "reduce_on_plateau")
    for optimizer in ("schedule_free", "momentum")
]


def test_the_curves_are_of_the_best_setting_whatever_the_order() -> None:
    """sgd is first in the sweep file, and worse."""
    text = " ".join(printed(two_optimizers(), by="optimizer").split())
    assert "val_loss by epoch, adam, seed 0" in text


def test_an_order_of_the_mean_needs_means() -> None:
    lost = {rate: [None] * len(values) for rate, values in VALLEY.items()}
    assert "order of the mean" not in printed(answered(rows(lost, optimizer="sgd"), rows(lost, optimizer="adam")))


def test_an_unmet_expectation_shows_what_was_wanted_and_what_was_found() -> None:
    lines = printed(told(two_optimizers())).splitlines()
    assert "▲ expected best_val_accuracy >= 0.95, found 0.9" in lines
    assert "expected: 1 of 2 met" in lines
    assert "expected: all 1 met" in printed(replace(two_optimizers(), checks=CHECKS[:1])).splitlines()


def test_the_files_that_are_there_are_named(tmp_path: Path) -> None:
    for name in ("runs.csv", "report.html", "sweep.db"):
        (tmp_path / name).touch()
    said = " ".join(printed(replace(two_optimizers(), folder=str(tmp_path)), 200).split())
    assert said.endswith(f"Files: {tmp_path}/ report.html runs.csv")


def test_where_only_rates_vary_the_table_is_of_rates() -> None:
    found = table(printed(answered(rows(VALLEY))), "rate")
    assert [line[0] for line in found] == ["rate", "0.001", "0.01", "0.1", "1", "stable"]
    assert found[2][1:3] == ["●", "best"]
    assert found[4][-3:] == ["1", "of", "3"]


def test_what_a_table_of_rates_has_no_column_for_stands_beneath() -> None:
    text = printed(told(answered(rows(VALLEY))))
    assert "\nfitted rate 0.012 (95% interval 0.011–0.014) · stable to 0.1\n" in text
    assert "fitted rate" not in printed(answered(rows(VALLEY, optimizer="adam")))


def test_all_has_a_table_of_rates_for_every_setting_with_the_evidence() -> None:
    lines = printed(told(two_optimizers()), 120, show_all=True).splitlines()
    for name in ("adam", "sgd"):
        at = lines.index(name)
        assert lines[at + 1].split()[:5] == ["rate", "val_loss", "accuracy", "diagnosis", "evidence"]
        assert [line.split()[0] for line in lines[at + 2 : lines.index("", at)]][:2] == ["0.001", "0.01"]
    text = " ".join(" ".join(lines).split())
    assert "too slow the training loss still falls by a" in text


def test_by_shows_the_best_setting_for_each_value() -> None:
    answer = answered(*(rows(v, width=w, optimizer=o) for w in (16, 32) for o, v in (("sgd", WORSE), ("adam", VALLEY))))
    found = table(printed(answer, by="width"), "width")
    assert [line[:2] for line in found[:3]] == [["width", "optimizer"], ["16", "adam"], ["32", "adam"]]
    assert " ".join(found[3]) == "The best setting for each width, not in order of the mean."


def test_the_best_of_a_key_are_chosen_by_rank_and_shown_in_its_order() -> None:
    best = {
        "none": WORSE,
        "keep": {rate: [None if v is None else v + 0.2 for v in vs] for rate, vs in VALLEY.items()},
        "warmup": VALLEY,
    }
    answer = answered(*(rows(values, growth=growth) for growth, values in best.items()))
    assert [line[0] for line in table(printed(answer, by="growth", top=1), "growth")][:2] == ["growth", "warmup"]
    assert [line[0] for line in table(printed(answer, by="growth", top=2), "growth")][1:3] == ["none", "warmup"]


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
    found = table(printed(grows(*plans)), "growth")
    lines = [" ".join(line) for line in found]
    assert len(lines) == 1 + 2 * len(plans) + 1 + ("accuracy" not in lines[0])  # head and notes
    assert {cell for cell in cells if any(cell in line for line in lines)} == set(cells)
    assert "best rate tied with val_loss" in lines[0]
    assert ("accuracy" in lines[0]) == (max(map(len, cells)) < 15)


def test_rates_by_layer_are_told_by_what_differs() -> None:
    texts = ["1", "{decay: 0.5}", "{first: 0.1, hidden: 1, last: 1}", "{first: 0.1, hidden: 2, last: 1}"]
    found = table(printed(answered(*(rows(VALLEY, layer_rates=text) for text in texts))), "layer_rates")
    words = [" ".join(line).partition(" 0.01 none")[0] for line in found[1:5]]
    assert words == ["1", "decay 0.5", "first 0.1", "first 0.1, hidden 2"]


def test_pictures_are_named_by_what_differs_among_them() -> None:
    text = printed(grows("", "5 64 keep"))
    picture = text[text.index("against learning_rate") : text.index("val_loss by epoch")]
    assert "no growth, standard" in " ".join(picture.split())
    assert "growth epoch 5, to 64" in " ".join(re.sub("[⠀-⣿│┤└━─●×↑]|[0-9.]+ [│┤]", " ", picture).split())
    assert not {"warm_restarts", "[...]", "width 32", "at_epoch"} & {*re.split(r"  +|, ", picture)}


def test_names_beside_a_picture_are_whole_however_many_troubles_there_are() -> None:
    """Cut short, two settings would have the same name."""
    texts = [f"{{first: {first}, hidden: 1, last: 1}}" for first in (10, 30)]
    answer = answered(*(rows(VALLEY, layer_rates=text, optimizer=name) for text in texts for name in ("sgd", "adam")))
    lots = answer.ranking["learning_rate"].map({0.001: "too_slow", 0.1: "oscillating", 1.0: "diverged"}).fillna("good")
    text = printed(replace(answer, ranking=answer.ranking.assign(diagnosis=lots)))
    picture = text[text.index("against learning_rate") : text.index("val_loss by epoch")]
    assert "[...]" not in picture
    assert picture.count("first 10") + picture.count("first 30") == 3
    assert picture.count("too slow to 0.001") == 3


def test_stale_runs_are_told_by_what_differs() -> None:
    answer = grows("", "5 64 keep", "5 64 warmup")
    text = printed(replace(answer, stale=answer.runs.iloc[::12]), width=120, show_all=True)
    stale = text[text.index("Stale runs") :]
    assert [
        word for line in stale.splitlines()[2:8] for word in line.split() if word in ("none", "keep", "warmup")
    ] == [*("keep", "keep", "warmup", "warmup", "none", "none")]


def test_by_refuses_what_does_not_vary() -> None:
    with pytest.raises(UsageError, match="--by depth: does not vary between settings; choose from optimizer"):
        printed(two_optimizers(), by="depth")


def test_by_needs_a_setting_that_varies() -> None:
    with pytest.raises(UsageError, match="no setting varies in this sweep, so leave --by out"):
        printed(answered(rows(VALLEY)), by="optimizer")


def test_top_shows_so_many_and_says_what_is_left() -> None:
    found = table(printed(many_settings(), top=2), "width", "activation")
    assert len(found) == 1 + 2 + 2
    assert " ".join(found[-1]) == "25 more settings: --top 27 shows them all."


def test_each_dataset_has_its_own_sentence() -> None:
    text = printed(told(answered(rows(WORSE, dataset="hard"), rows(VALLEY, dataset="easy"))))
    parts = ["hard: At 0.01 val_loss is", "For hard use adam at 0.01", "easy: At 0.01 val_loss is", "For easy use adam"]
    assert [text.count(part) for part in parts] == [1, 1, 1, 1]
    assert sorted(parts, key=text.index) == parts


def test_nothing_to_recommend_is_said_without_a_picture() -> None:
    text = printed(answered(rows({0.1: [None, None], 1.0: [None, None]})))
    assert "▲ No run finished, so no rate can be recommended" in text
    assert "Use" not in text
    assert "against" not in text


def test_failures_are_told_with_the_first_reason() -> None:
    values = rows(VALLEY)
    values[0] |= {"status": "failed", "reason": "MemoryError: no"}
    assert "▲ 1 run failed: MemoryError: no" in printed(answered(values))


def test_a_long_reason_is_cut() -> None:
    values = rows(VALLEY)
    values[0] |= {"status": "failed", "reason": "MemoryError: " + "no " * 1000}
    [line] = [line for line in printed(answered(values), 400).replace("\n", " ").split("▲ ") if "1 run failed" in line]
    [reason] = re.findall(r"MemoryError: .*…", line)
    assert len(reason) <= 200


def test_a_setting_all_of_whose_runs_failed_is_shown_with_all() -> None:
    lost = dict.fromkeys(("train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy"))
    sgd = [row | lost | {"status": "failed", "reason": "no"} for row in rows(WORSE, optimizer="sgd")]
    trained = [row | {"epochs_done": 20} for row in rows(VALLEY, optimizer="adam")]
    text = printed(answered([row | {"epochs_done": None} for row in sgd], trained), show_all=True)
    assert f"▲ {len(sgd)} runs failed: no" in text
    assert "Use adam at 0.01" in text


def test_no_runs_yet_is_a_summary_too() -> None:
    full = two_optimizers()
    counts = {**full.counts, "done": 0, "new": 24}
    empty = Answer(
        full.about, counts, full.runs[:0], full.curves[:0], full.timings[:0], full.ranking[:0], {"settings": []}
    )
    assert "▲ 24 runs not trained yet" in printed(empty)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_ends_in_spaces(encoding: str) -> None:
    text = printed(told(many_settings()), encoding=encoding, show_all=True)
    assert [line for line in text.splitlines() if line.endswith(" ")] == []


def test_no_line_ends_in_spaces_among_colours() -> None:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", coloured(two_optimizers())).splitlines()
    assert [line for line in lines if line.endswith(" ")] == []


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


def test_the_picture_marks_the_fitted_rate_and_the_limit_of_stability() -> None:
    lines = printed(told(two_optimizers())).splitlines()
    axis = next(line for line in lines if "◆" in line and "└" in line)
    above = lines[lines.index(axis) - 1]
    assert axis.index("◆") == 10 + round(math.log10(12.3) / 3 * 83) // 2  # 42 characters of two dots, over 3 decades
    assert axis.index("┊") == above.index("┊") == 10 + round(2.5 / 3 * 83) // 2  # midway from 0.1 to 1


def test_names_beside_a_picture_say_where_it_goes_wrong() -> None:
    lines = [line.rpartition("  ")[2] for line in printed(told(two_optimizers())).splitlines()]
    at = lines.index("adam")
    assert lines[at + 1 : at + 4] == ["◆ 0.012", "too slow to 0.001", "diverged from 1"]
