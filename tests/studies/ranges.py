"""How often the range test's interval holds the best rate of a full sweep, and how near each published rule comes.

    python tests/studies/ranges.py [--folder FOLDER] [--workers 2] [--choose] [--defaults] [--each]

Trains 172 settings in full, 5 seeds at 4 rates per decade over 5 decades, which takes two idle cores about two minutes;
a folder keeps them. The best rate of such a sweep, by validation loss, is the truth. Of these settings 27 are digits,
breast_cancer and a made table under sgd, momentum and adam at widths 16, 64 and 256; the others have other data,
depths, optimizers, epochs and schedules. Then it looks at ramps of 3 of the seeds, 100 steps from 1e-7 to 10.

How far the interval reaches from its landmarks was chosen on one half of the settings, as the shortest that holds the
best rate in 94% (12.5 times as far, 1.6 times as high: 95% at 2.16 decades). In the other half that held 89%, and 94%
with rates tied with the best. So it starts a tenth of a decade lower than chosen, for the optimism of choosing: the
figures of the second half are all but untouched. The suggestion's place in the interval was chosen on the first half.

                                    settings   best rate inside   or one tied   decades
    the 27                                27         100%             100%       2.20    each half 100%
    other data, depths, optimizers        36          89%              94%       2.61    94% and 83%
    regression                            10         100%             100%       2.21
    5 and 80 epochs                       18          94%             100%       2.15    89% and 100%
    cosine and one_cycle                  18          89%              89%       2.00    89% and 89%
    all, chosen on                        55          95%              98%       2.28
    all, checked on                       54          93%              94%       2.31
    1 to 40 steps, looked at apart        63         100%             100%       2.37    suggestion near in 75%

What is missed: breast_cancer at depth 2, which overfits, so that its best rates are below what the ramp takes to learn;
wine and the made table mostly under sgd, with best rates at the edge of stability or above it. Nothing in a ramp tells
these apart. An interval for the 27 alone could be 1.2 decades long, but would hold 4 in 10 of the others.

Within half a decade of the best rate, on the smoothed mean of 3 seeds, with the median of how much higher it is:

                     valley  slide  minimum  steep  pytorch-lr-finder  lightning  suggestion
    the 27              30%    52%      59%    63%                59%         0%         70%
    all, checked on     24%    37%      46%    43%                41%         0%         59%
    all                 28%    36%      46%    45%                43%         0%         64%
    all, decades      -0.80  -0.67    -0.05  -0.28              -0.20      -3.94       -0.07

Lightning divides by the rate itself, which from 1e-7 on makes noise at the lowest rates the steepest fall. The rules
disagree by 2.3 to 5.5 decades, in the median by 4.3, so their disagreement does not tell how far to trust a test.

Short runs of a quarter of the epochs do: where they confirm the suggestion (84 of 109) the best rate is inside in 96%
and the suggestion near it in 74%; where they do not (22), in 86% and 27%. Widened to hold the rate at which they did
better, the interval of these has the best rate in 100%, at 2.49 decades in place of 2.30. After half of the epochs the
suggestion was near in 80% and 12%; after a tenth of them they told nothing, since the fewer the steps the higher is the
best rate.

The fewest steps of the 109 are 55. Below that, the upper end went above where the ramp breaks, and the lower end above
the best rate in every second setting; so both ends stop at the ramp's landmarks, which was chosen on the 63 settings.

    steps and seeds     100, 1   100, 3   100, 5   200, 1   200, 3   200, 5   400, 1   400, 3   400, 5
    best rate inside       91%      94%      93%      94%      95%      95%      97%      97%      97%
    decades               2.23     2.30     2.29     2.43     2.49     2.50     2.75     2.79     2.80
    suggestion near        61%      62%      62%      66%      68%      68%      67%      68%      68%

One seed would nearly do, and 100 steps; 3 seeds tell the band. Measuring the loss on 256 rows before each step, in
place of the step's own batch, left the interval's length as it was, within 0.1 decades, and was left out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import lrsweep
from lrsweep.analysis import ranges
from lrsweep.analysis.range_trust import confirmation, widened
from lrsweep.analysis.ranges import RULES, RangeTest, range_test
from lrsweep.engine.ramp import exponential, ramp, steps_at_peak
from lrsweep.execute import data_for, one_blas_thread
from lrsweep.plan import make_plan
from lrsweep.plan.planned import settings
from lrsweep.spec import load_spec
from lrsweep.vocabulary import Array, Run, Stack

RATES = "{log: [1e-4, 10], per_decade: 4}"
ADAPTIVE = "{log: [1e-5, 1], per_decade: 4}"
"""The rates of a full sweep, by whether the optimizer scales its steps by the gradient's size."""

SWEEPS = {
    "the 27": """
        dataset: [digits, breast_cancer, {file: parcels.csv, target: grade}]
        width: [16, 64, 256]
        blocks: [{optimizer: [sgd, momentum]}, {optimizer: adam, learning_rate: ADAPTIVE}]
    """,
    "other data, depths and optimizers": """
        dataset: [wine, moons]
        width: [32, 128]
        blocks:
          - {optimizer: [sgd, nesterov, momentum]}
          - {optimizer: [adam, adamw, rmsprop], learning_rate: ADAPTIVE}
          - {dataset: [digits, breast_cancer], optimizer: nesterov, depth: 2}
          - {dataset: [digits, breast_cancer], optimizer: [adamw, rmsprop], depth: 2, learning_rate: ADAPTIVE}
    """,
    "regression": """
        dataset: diabetes
        width: [32, 128]
        blocks: [{optimizer: [sgd, nesterov, momentum]}, {optimizer: [adam, adamw], learning_rate: ADAPTIVE}]
    """,
    "other lengths": """
        dataset: [digits, breast_cancer, {file: parcels.csv, target: grade}]
        width: 64
        epochs: [5, 80]
        blocks: [{optimizer: [sgd, momentum]}, {optimizer: adam, learning_rate: ADAPTIVE}]
    """,
    "other schedules": """
        dataset: [digits, breast_cancer, {file: parcels.csv, target: grade}]
        width: 64
        schedule: [cosine, one_cycle]
        blocks: [{optimizer: [sgd, momentum]}, {optimizer: adam, learning_rate: ADAPTIVE}]
    """,
}
"""5 seeds and 20 epochs where nothing else is said. Each is cut into halves like the fields of a chessboard."""

FEW = {
    "few steps": """
        dataset: [digits, breast_cancer, {file: parcels.csv, target: grade}]
        subset: 0.1
        width: 64
        epochs: [1, 3, 10]
        blocks: [{optimizer: [sgd, momentum]}, {optimizer: adam, learning_rate: ADAPTIVE}]
    """,
    "few steps, other data and optimizers": """
        dataset: [digits, wine, moons]
        subset: 0.3
        width: [16, 128]
        epochs: [1, 2]
        blocks: [{optimizer: [sgd, nesterov]}, {optimizer: rmsprop, learning_rate: ADAPTIVE}]
    """,
}
"""Runs of 1 to 40 steps, fewer than the ramp has: they are looked at by themselves."""

CHOSEN, CHECKED = "chosen on", "checked on"
LOW, HIGH, STEPS, SEEDS = 1e-7, 10.0, 100, 3
"""Of the ramps."""

NEAR = 0.5
"""Decades within which a rate is near the full sweep's best."""

SHORT = 0.25
"""Share of the epochs of the runs that confirm a suggestion or do not."""

AIM = 0.94
"""How often the interval was to hold the best rate of the settings that it is chosen on."""


@dataclass(frozen=True)
class Case:
    """A setting with its full sweep's best rate and the rates tied with it, and its ramps by their numbers of steps.

    `steps` are those of its runs at the peak rate; `short` is the validation loss by rate and seed after SHORT of their
    epochs.
    """

    sweep: str
    half: str
    run: Run
    best: float
    tied: tuple[float, float]
    steps: float
    ramps: dict[int, Array]
    short: pd.DataFrame

    def test(self, n_steps: int = STEPS, seeds: Sequence[int] = range(SEEDS)) -> RangeTest:
        """What the ramps of these seeds say."""
        rates = exponential(LOW, HIGH, n_steps)
        return range_test({}, rates, self.ramps[n_steps][list(seeds)], seeds, self.steps)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="keeps the full sweeps, so that they are trained once")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--choose", action="store_true", help="compare other reaches of the interval")
    parser.add_argument("--defaults", action="store_true", help="compare numbers of steps and seeds")
    parser.add_argument("--each", action="store_true", help="a line for each setting")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        write_parcels(folder / "parcels.csv")
        with one_blas_thread():
            lengths = (100, 200, 400) if options.defaults else (STEPS,)
            train = partial(swept, folder=folder, workers=options.workers, lengths=lengths)
            cases = [case for sweep in SWEEPS for case in train(sweep)]
            few = [case for sweep in FEW for case in train(sweep)]
    show_holding([*parts(cases), *((sweep, [case for case in few if case.sweep == sweep]) for sweep in FEW)])
    show_rules(cases)
    show_trust(cases)
    show_confirmation(cases)
    if options.each:
        show_each([*cases, *few])
    if options.choose:
        choose(cases)
    if options.defaults:
        show_defaults(cases)


def write_parcels(path: Path) -> None:
    """A made table of 800 rows with numbers, words and three classes."""
    random = np.random.default_rng(800)
    n = 800
    size, age, price = random.normal(0, 1, n), random.uniform(0, 40, n), random.lognormal(3, 1, n)
    colour = random.choice(["red", "green", "blue", "black"], n)
    region = random.choice(["north", "south", "island"], n, p=[0.5, 0.3, 0.2])
    far = (region == "island") & (colour != "blue")
    pull = 1.5 * size + np.sin(age / 6) + 1.5 * (colour == "red") - 2 * far + 0.4 * np.log(price) * size
    pull += random.normal(0, 1, n)
    grade = np.array(["low", "middle", "high"])[np.digitize(pull, np.quantile(pull, [0.4, 0.75]))]
    columns = size.round(3), age.round(1), price.round(2), colour, region, grade
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "age", "price", "colour", "region", "grade"])
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def swept(sweep: str, folder: Path, workers: int, lengths: Sequence[int]) -> Iterator[Case]:
    """The settings of a sweep, trained in full where they are not yet, with their ramps."""
    path = folder / f"{sweep.replace(' ', '-').replace(',', '')}.yaml"
    path.write_text(file_of((SWEEPS | FEW)[sweep]))
    answer = lrsweep.run(path, results=folder, workers=workers).answer
    entries, runs = answer.entries, answer.runs[["run_id", "learning_rate", "seed"]]
    losses = answer.curves[["run_id", "epoch", "val_loss"]].merge(runs, on="run_id")
    plan = make_plan(load_spec(path))
    groups = defaultdict(list)
    for one in plan.runs:
        groups[replace(one.run, learning_rate=1.0, seed=0)].append(one)
    rows = [settings(run, plan.spec.named) for run in groups]
    axes = {key: list(dict.fromkeys(row[key] for row in rows)) for key in entries[0]["setting"]}
    for (run, ones), row in zip(groups.items(), rows, strict=True):
        [entry] = [entry for entry in entries if all(row[key] == value for key, value in entry["setting"].items())]
        half = (CHOSEN, CHECKED)[sum(axes[key].index(row[key]) for key in axes) % 2]
        stack = Stack(tuple(replace(run, seed=seed) for seed in range(5)), ("",) * 5, ones[0].data.fingerprint)
        data = data_for(stack)
        ramps = {n: ramp(stack, data, exponential(LOW, HIGH, n)) for n in lengths}
        steps = steps_at_peak(run, len(data.x_train))
        short = losses[
            losses["run_id"].isin([one.run_id for one in ones]) & (losses["epoch"] == round(SHORT * run.epochs))
        ]
        short = short.pivot(index="learning_rate", columns="seed", values="val_loss")
        yield Case(sweep, half, run, entry["best_rate"], tuple(entry["tie_interval"]), steps, ramps, short)


def file_of(keys: str) -> str:
    """A sweep file with these keys, and with what they leave out."""
    text = textwrap.dedent(keys).replace("ADAPTIVE", ADAPTIVE)
    return f"learning_rate: {RATES}\nseeds: 5\n{'' if 'epochs' in text else 'epochs: 20'}{text}"


def decades(high: float, low: float) -> float:
    """How far apart two rates are."""
    return math.log10(high / low)


def holding(cases: Sequence[Case], tests: Sequence[RangeTest]) -> tuple[float, float, float, float]:
    """How often the best rate is in the interval, or one tied with it; the interval's decades; suggestions near it."""
    inside, tied, lengths, near = [], [], [], []
    for case, test in zip(cases, tests, strict=True):
        low, high = test.interval or (math.nan, math.nan)
        inside.append(low <= case.best <= high)
        tied.append(low <= case.tied[1] and case.tied[0] <= high)
        lengths.append(decades(high, low))
        near.append(abs(decades(test.suggestion or math.nan, case.best)) <= NEAR)
    return float(np.mean(inside)), float(np.mean(tied)), float(np.nanmean(lengths)), float(np.mean(near))


def parts(cases: Sequence[Case]) -> Iterator[tuple[str, list[Case]]]:
    """The cases by sweep and half, then all of a half, and all."""
    for sweep in SWEEPS:
        for half in (CHOSEN, CHECKED):
            yield f"{sweep}, {half}", [case for case in cases if (case.sweep, case.half) == (sweep, half)]
    for half in (CHOSEN, CHECKED):
        yield f"all, {half}", [case for case in cases if case.half == half]
    yield "the 27", [case for case in cases if case.sweep == "the 27"]
    yield "all", list(cases)


def show_holding(titled: Iterable[tuple[str, list[Case]]]) -> None:
    """How often the interval holds the best rate, by parts."""
    print(f"{'':50}{'settings':>10}{'inside':>10}{'or tied':>10}{'decades':>10}{'suggested':>10}")
    for title, some in titled:
        inside, tied, length, near = holding(some, [case.test() for case in some])
        print(f"{title:50}{len(some):>10}{inside:>10.0%}{tied:>10.0%}{length:>10.2f}{near:>10.0%}")


def show_rules(cases: Sequence[Case]) -> None:
    """How often each rule is within half a decade of the best rate, and how far off it is."""
    print(f"\nwithin {NEAR} decades of the best rate, and the median of how much higher it is in decades")
    print(f"{'':50}" + "".join(f"{name:>18}" for name in (*RULES, "suggestion")))
    for title, some in parts(cases):
        cells = []
        tests = [case.test() for case in some]
        for name in (*RULES, "suggestion"):
            rates = [test.suggestion if name == "suggestion" else test.rules[name] for test in tests]
            off = np.array([decades(r or math.nan, case.best) for r, case in zip(rates, some, strict=True)])
            cells.append(f"{np.mean(np.abs(off) <= NEAR):>11.0%}{np.nanmedian(off):>+7.2f}")
        print(f"{title:50}{''.join(cells)}")


def show_trust(cases: Sequence[Case]) -> None:
    """Whether what lowers the trust tells where the interval does not hold the best rate."""
    tests = [case.test() for case in cases]
    spread = [test.disagreement_decades or math.nan for test in tests]
    print(f"\nthe rules disagree by {np.median(spread):.1f} decades, {min(spread):.1f} to {max(spread):.1f}")
    for title, chosen in (("no doubts", True), ("doubts", False)):
        some = [(case, test) for case, test in zip(cases, tests, strict=True) if (not test.doubts) == chosen]
        if some:
            inside, _, length, near = holding(*zip(*some, strict=True))
            print(f"{title:20}{len(some):>5}{inside:>10.0%} inside{length:>8.2f} decades{near:>8.0%} suggested")


def show_confirmation(cases: Sequence[Case]) -> None:
    """What short runs at the rates of the full sweep nearest to 1/10, 1/3, 1, 3 and 10 times the suggestion tell."""
    found = defaultdict(list)
    for case in cases:
        test, tried = case.test(), case.short.index.to_numpy()
        wanted = (test.suggestion or math.nan) * np.array([1 / 10, 1 / 3, 1, 3, 10])
        rates = [tried[np.abs(np.log(tried / rate)).argmin()] for rate in wanted]
        values = case.short.reindex(rates).to_numpy()[:, :SEEDS]
        told = confirmation(rates, values, test.suggestion or math.nan, lower_is_better=True)
        found[told.confirmed].append((case, test, widened(test, told)))
    for confirmed, some in found.items():
        those, tests, wider = zip(*some, strict=True)
        inside, _, length, near = holding(those, tests)
        after, _, longer, _ = holding(those, wider)
        print(
            f"confirmed: {confirmed!s:8}{len(some):>5}{inside:>10.0%} inside{length:>8.2f} decades{near:>8.0%} near"
            f"; widened{after:>8.0%} inside{longer:>8.2f} decades"
        )


def show_each(cases: Sequence[Case]) -> None:
    """A line for each setting."""
    for case in cases:
        test, run = case.test(), case.run
        low, high = test.interval or (math.nan, math.nan)
        name = f"{run.dataset} {run.optimizer.name} {run.width}×{run.depth} {run.epochs} epochs {run.schedule.name}"
        band = "–" if test.seed_band is None else f"{decades(*test.seed_band[::-1]):.2f}"
        print(
            f"{name:60}{case.half:>12}{case.best:>10.3g}{low:>10.2g}{high:>10.2g}{low <= case.best <= high:>3}"
            f"{test.suggestion or math.nan:>10.2g}{band:>6}  {'; '.join(test.doubts) or test.reason}"
        )


def choose(cases: Sequence[Case]) -> None:
    """The shortest intervals that hold the best rate in AIM of the first half's settings; and in the other half."""
    best = np.log10([case.best for case in cases])
    first = np.array([case.half == CHOSEN for case in cases])
    tests = [case.test() for case in cases]
    marks = [test.landmarks for test in tests]
    assert None not in marks, "a ramp tells nothing"
    longer = [case.steps / ranges.stay(np.log10(test.rates)) for case, test in zip(cases, tests, strict=True)]
    found = []
    own = ranges.FARTHER, ranges.LOWER
    for farther, lower in itertools.product(10 ** np.arange(0.5, 1.51, 0.05), 10 ** np.arange(-0.5, 0.71, 0.05)):
        ranges.FARTHER, ranges.LOWER = float(farther), float(lower)
        low, high = np.array([mark.interval(times) for mark, times in zip(marks, longer, strict=True)]).T
        inside = (low <= best) & (best <= high)
        if inside[first].mean() >= AIM:
            row = [float(told[half].mean()) for half in (first, ~first) for told in (inside, high - low)]
            found.append((row[1], f"{farther:>10.1f}{lower:>10.2f}", row, low, high))
    ranges.FARTHER, ranges.LOWER = own
    print(f"\n{'FARTHER':>10}{'LOWER':>10}" + f"{'inside':>10}{'decades':>10}" * 2)
    for _, title, row, *_ in sorted(found, key=lambda one: one[0])[:8]:
        print(title + "".join(f"{cell:>10.2f}" for cell in row))
    print(f"\n{'SUGGESTED':>10}" + f"{'near':>10}" * 2)
    low, high = np.log10([test.interval for test in tests]).T
    for share in np.arange(0.3, 0.551, 0.025):
        near = np.abs(low + share * (high - low) - best) <= NEAR
        print(f"{share:>10.3f}{near[first].mean():>10.0%}{near[~first].mean():>10.0%}")


def show_defaults(cases: Sequence[Case]) -> None:
    """How much steps and seeds matter: each number of seeds is drawn five times."""
    print(f"\n{'steps':>10}{'seeds':>10}{'inside':>10}{'or tied':>10}{'decades':>10}{'suggested':>10}")
    for n_steps, n_seeds in itertools.product((100, 200, 400), (1, 3, 5)):
        draws = [[(first + i) % 5 for i in range(n_seeds)] for first in range(5 if n_seeds < 5 else 1)]
        told = np.mean([holding(cases, [case.test(n_steps, draw) for case in cases]) for draw in draws], axis=0)
        print(f"{n_steps:>10}{n_seeds:>10}{told[0]:>10.0%}{told[1]:>10.0%}{told[2]:>10.2f}{told[3]:>10.0%}")


if __name__ == "__main__":
    main()
