"""How far a range test is trusted, and what short runs have to say to it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ramps_made_up import RATES, noisy, ramp_of, told_of

from lrsweep.analysis.range_trust import Confirmation, confirmation, document, trust, widened
from lrsweep.analysis.ranges import range_test
from lrsweep.vocabulary import Array

YES, UNCLEAR = Confirmation(True), Confirmation(None)

# Doubts and trust


def test_a_sound_ramp_has_no_doubts() -> None:
    test = told_of(*(noisy(ramp_of(), seed) for seed in range(3)))
    assert test.doubts == ()
    assert trust(test, YES) == ("high", "the loss falls and rises again, the seeds agree, and short runs confirm it")
    assert trust(test, None) == ("low", "no short runs were made to confirm it")
    assert trust(test, UNCLEAR) == ("low", "short runs do not tell whether it is good")


@pytest.mark.parametrize(("times", "said"), [(10.0, "up to"), (0.1, "down to")])
def test_where_short_runs_did_better_is_told_and_the_interval_holds_it(times: float, said: str) -> None:
    """With a step of the grid beyond it, a quarter of a decade."""
    test = told_of(*(noisy(ramp_of(-2.2, -0.6), seed) for seed in range(3)))
    assert test.interval is not None
    assert test.suggestion is not None
    better = times * test.suggestion
    told = Confirmation(False, better, times)
    wide = widened(test, told)
    assert wide.interval is not None
    end = wide.interval[times > 1]
    reach = better * (10**0.25 if times > 1 else 10**-0.25)
    expected = max(test.interval[1], min(reach, max(10**-0.6, better))) if times > 1 else min(test.interval[0], reach)
    assert end == pytest.approx(expected, rel=0.1)
    assert wide.interval[times < 1] == test.interval[times < 1]
    assert wide.interval[0] <= better <= wide.interval[1]
    where = f"short runs did better at {times:g} times the suggestion, {better:.2g}"
    assert trust(wide, told) == ("low", f"{where}, so the interval reaches {said} {end:.2g}")


def test_an_interval_is_widened_no_farther_than_the_ramp_or_short_runs_went() -> None:
    test = told_of(ramp_of(-2.2, -0.3), ramp_of(-2.2, -0.3), steps=60)
    assert test.landmarks is not None
    breaks = 10**test.landmarks.back
    assert widened(test, Confirmation(False, 0.9 * breaks, 10.0)).interval[1] <= breaks  # type: ignore[index]
    beyond = widened(test, Confirmation(False, 2.0, 10.0)).interval
    assert beyond is not None
    assert beyond[1] == 2.0


@pytest.mark.parametrize("told", [None, Confirmation(True), Confirmation(None)])
def test_other_words_of_short_runs_leave_the_interval_as_it_is(told: Confirmation | None) -> None:
    test = told_of(ramp_of())
    assert widened(test, told) is test


@pytest.mark.parametrize(
    ("losses", "doubt"),
    [
        ([ramp_of()], "one seed tells nothing of how far others would agree"),
        (2 * [ramp_of(rise=2.0)], "does not rise above its start up to 10"),
        (2 * [ramp_of(fall=-6.5)], "falls from the first steps on, so the lower end is not seen: start below 1e-07"),
        ([ramp_of(), np.full(100, 2.3), ramp_of()], "1 of 3 seeds by themselves tell nothing"),
        ([ramp_of(-4.0, -2.0), ramp_of()], "the seeds' own suggestions lie 1."),
    ],
)
def test_what_is_not_as_it_should_be_is_told_and_lowers_the_trust(losses: list[Array], doubt: str) -> None:
    test = told_of(*losses)
    assert test.suggestion is not None
    [told] = test.doubts
    assert doubt in told
    assert trust(test, YES) == ("low", told)
    assert trust(test, UNCLEAR) == ("low", f"short runs do not tell whether it is good; {told}")


def test_runs_that_are_too_long_for_the_ramp_are_doubted() -> None:
    """Rates go as one over the steps, so those of a billion steps are below any that the ramp has seen."""
    test = range_test({}, RATES, np.stack(2 * [ramp_of()]), [0, 1], 1e9)
    assert test.doubts == ("the suggestion lies outside of the ramp",)


# Confirmation

TRIED = [0.001, 0.00333, 0.01, 0.0333, 0.1]


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ([5, 4, 1, 4, 5], True),
        ([5, 1, 2, 4, 5], True),
        ([5, 4, 2, 1, 5], True),
        ([1, 4, 4, 4, 5], False),
        ([5, 4, 4, 4, 1], False),
        ([5, 5, 1.001, 5, 1], None),
        ([5, np.nan, np.nan, np.nan, 4], False),
        ([np.nan, np.nan, 5, np.nan, np.nan], True),
        ([np.nan] * 5, None),
        ([2] * 5, None),
    ],
)
def test_short_runs_confirm_a_suggestion_or_not(means: list[float], verdict: bool | None) -> None:
    """Three seeds that scatter by a tenth, the same way at every rate but for a hundredth."""
    common, own = np.array([-0.1, 0.0, 0.1]), 0.01 * np.random.default_rng(0).standard_normal((5, 3))
    values = np.array(means)[:, None] + (0 if len(set(means)) == 1 else common + own - own.mean(axis=1, keepdims=True))
    told = confirmation(TRIED, values, 0.01, lower_is_better=True)
    assert told.confirmed is verdict
    assert confirmation(TRIED, -values, 0.01, lower_is_better=False) == told
    better = TRIED[int(np.nanargmin(means))] if verdict is False else None
    assert (told.better, told.times) == (better, None if better is None else pytest.approx(100 * better))


def test_a_rate_that_lost_a_seed_is_worse_than_all_others() -> None:
    values = np.array([[3.0, 3.0], [3.0, 3.0], [2.0, 2.0], [3.0, 3.0], [1.0, np.nan]])
    assert confirmation(TRIED, values, 0.01, lower_is_better=True) == YES
    values[2, 0] = np.inf
    assert confirmation([*TRIED[:1], *TRIED[2:]], values[[0, 2, 3, 4]], 0.01, lower_is_better=True) == UNCLEAR


def test_one_seed_confirms_by_its_own_order() -> None:
    for lowest, verdict in [(0, False), (1, True), (2, True), (3, True), (4, False)]:
        values = np.where(np.arange(5) == lowest, 1.0, 2.0)[:, None]
        assert confirmation(TRIED, values, 0.01, lower_is_better=True).confirmed is verdict


# The document


def test_the_document_has_the_keys_of_the_contract_and_nothing_but_plain_values() -> None:
    test = told_of(*(noisy(ramp_of(), seed) for seed in range(3)))
    told = document(test, YES)
    assert list(told) == [
        *("setting", "interval", "suggestion", "rules", "disagreement_decades", "seed_band"),
        *("confirmed", "trust", "reason"),
    ]
    assert told["setting"] == {"width": 16}
    assert (told["interval"], told["seed_band"]) == ([*test.interval], [*test.seed_band])  # type: ignore[misc]
    assert (told["confirmed"], told["trust"]) == (True, "high")
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    values = [*told["interval"], *told["seed_band"], told["suggestion"], *told["rules"].values()]
    assert {type(value) for value in values} == {float}


def test_a_group_of_layers_is_part_of_the_setting() -> None:
    test = told_of(ramp_of(), layers="hidden")
    assert document(test, None)["setting"] == {"width": 16, "layers": "hidden"}
    assert document(replace(test, layers=""), None)["setting"] == {"width": 16}
