"""The answer hands out rows of a setting, the content of ranking.csv and the recommendation as a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sweeps_made_up import answered, rows

from lrsweep.analysis.answer import Answer, positions

VALLEY = {0.001: [1.0, 1.1], 0.01: [0.1, 0.11], 0.1: [0.5, 0.6]}


@pytest.fixture
def answer() -> Answer:
    """Settings of which one is none for some: a frame has nan in its place."""
    settings = [(None, 16, 0.5), (1.0, 16, 100), (None, 32, 100), (0.1, 32, 0.5)]
    return answered(*(rows(VALLEY, clip_norm=clip, width=width, subset=subset) for clip, width, subset in settings))


def matching(frame: pd.DataFrame, setting: dict[str, Any]) -> list[Any]:
    """The rows of a setting, row by row: nothing is nan in a frame."""
    same = [
        all(row[key] != row[key] if value is None else row[key] == value for key, value in setting.items())
        for row in frame.to_dict("records")
    ]
    return frame.index[same].tolist()


@pytest.mark.parametrize("name", ["runs", "ranking"])
def test_the_rows_of_a_setting_are_those_that_have_its_values(answer: Answer, name: str) -> None:
    frame = getattr(answer, name)
    found = [answer.rows(frame, entry).index.tolist() for entry in answer.entries]
    assert found == [matching(frame, entry["setting"]) for entry in answer.entries]
    assert sorted(np.concatenate(found)) == frame.index.tolist()


def test_rows_of_a_part_of_a_frame_are_of_that_part(answer: Answer) -> None:
    part = answer.ranking[answer.ranking["learning_rate"] > 0.001].sort_values("learning_rate", ascending=False)
    for entry in answer.entries:
        assert answer.rows(part, entry)["learning_rate"].tolist() == [0.1, 0.01]


def test_the_rows_of_a_setting_that_a_part_is_without_are_none(answer: Answer) -> None:
    first, second = answer.entries[:2]
    assert answer.rows(answer.rows(answer.runs, first), second).empty


def test_without_settings_all_rows_are_of_the_only_one() -> None:
    answer = answered(rows(VALLEY))
    assert len(answer.rows(answer.runs, answer.entries[0])) == 6
    assert answer.rows(answer.runs.iloc[:0], answer.entries[0]).empty


def test_rows_are_looked_up_once_for_all_settings(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("lrsweep.analysis.answer.positions", lambda *given: calls.append(1) or positions(*given))
    for entry in answer.entries * 2:
        answer.rows(answer.runs, entry)
        answer.rows(answer.ranking, entry)
    assert len(calls) == 2


def test_ranking_csv_has_settings_as_the_file_has_them(answer: Answer) -> None:
    columns = answer.ranking_columns()
    assert list(dict.fromkeys(zip(columns["clip_norm"], columns["width"], columns["subset"], strict=True))) == [
        (None, 16, 0.5),
        (1.0, 16, 100),
        (None, 32, 100),
        (0.1, 32, 0.5),
    ]
    assert {type(width) for width in columns["width"]} == {int}


def test_ranking_csv_has_a_row_per_setting_and_rate_in_order(answer: Answer) -> None:
    columns = answer.ranking_columns()
    assert columns["learning_rate"] == [0.001, 0.01, 0.1] * 4
    assert columns["rank"] == [3, 1, 2] * 4
    assert {len(values) for values in columns.values()} == {12}
    assert "seconds_mean" not in columns


def test_the_recommendation_as_a_frame_has_intervals_in_two_columns(answer: Answer) -> None:
    table = answer.table()
    assert table[["clip_norm", "width", "subset"]].isna().sum().tolist() == [2, 0, 0]
    assert table["best_rate"].tolist() == [0.01] * 4
    intervals = [entry["tie_interval"] for entry in answer.entries]
    assert table[["tie_low", "tie_high"]].to_numpy().tolist() == intervals
    assert {"fitted_low", "fitted_high"} < {*table}
    assert not {"setting", "tie_interval", "fitted_interval"} & {*table}


def test_an_interval_that_cannot_be_said_is_empty_in_the_frame() -> None:
    table = answered(rows({0.01: [0.1], 0.1: [0.2]})).table()
    assert table[["tie_low", "tie_high"]].isna().all(axis=None)


def test_the_documents_differ_by_what_only_counts_here(answer: Answer) -> None:
    assert answer.document() == answer.file() | {"counts": answer.counts, "expect": []}
