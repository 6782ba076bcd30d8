"""Cases labelled by eye: `first` and `second`, on which the diagnosis's thresholds were chosen, and `test`.

A case is a setting at a rate, over its seeds. Each sweep of labels.yaml gives some, spread over its settings and, from
the lowest to the highest, over its rates; whether a case is good or bad plays no part in the choice.

    python tests/studies/labels.py cases test CASES.json         trains the sweeps and writes their cases
    python tests/studies/labels.py draw CASES.json FOLDER        draws sheets of curves to label; needs matplotlib
    python tests/studies/labels.py keep CASES.json test GOLDEN.json    cases with their labels, numbers rounded
    python tests/studies/labels.py confusion GOLDEN.json         labels against what the diagnosis says

The labels are in labels.yaml, too. Each of the three sets was labelled from its sheets before the diagnosis was run on
it. The thresholds chosen on `first` agreed with 48 labels of `second`; chosen again on both they agree with 113 of the
120, and with 57 of `test`, which is kept in `tests/golden/labelled_curves.json`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LABELS = ("good", "too_slow", "oscillating", "overfitting", "collapsed", "unstable", "diverged")


def noted() -> dict[str, Any]:
    """labels.yaml."""
    import yaml

    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return found


def collect(name: str) -> dict[str, Any]:
    """Trains the sweeps and draws their cases: `settings` with the curves of the rates that are needed, and `cases`."""
    import lrsweep

    rng = np.random.default_rng(60)
    found: dict[str, Any] = {"settings": [], "cases": []}
    with tempfile.TemporaryDirectory() as folder:
        for i, sweep in enumerate(noted()[name]):
            wanted = sweep.pop("cases")
            path = Path(folder, f"{name}-{i}.yaml")
            path.write_text(json.dumps(sweep))  # which is YAML, too
            answer = lrsweep.run(path, results=Path(folder)).answer
            add_cases(found, answer, wanted, rng)
    return found


def add_cases(found: dict[str, Any], answer: Any, wanted: int, rng: np.random.Generator) -> None:
    """Draws cases from an answer: settings in turn, each rate from its own part of the grid, parts in random order."""
    from lrsweep.analysis.ranking import setting_numbers

    numbered = answer.ranking.assign(group=setting_numbers(answer.ranking, answer.about))
    groups = [rows for _, rows in numbered.groupby("group")]
    places = (rng.permutation(wanted) + rng.random(wanted)) / wanted
    for i, rows in enumerate(groups):
        mine = sorted({int(place * len(rows)) for place in places[i :: len(groups)]})
        rates = rows["learning_rate"].to_numpy()
        best = float(rows.loc[rows["rank"] == 1, "learning_rate"].iloc[0])
        found["cases"] += [{"setting": len(found["settings"]), "rate": float(rates[k])} for k in mine]
        found["settings"].append(told(answer, rows.iloc[0], sorted({best, *rates[mine].tolist()}), best))


def told(answer: Any, row: Any, rates: Sequence[float], best: float) -> dict[str, Any]:
    """A setting: what is known of it, and by rate and seed the curves and the ends of its runs."""
    runs, about = answer.runs, answer.about
    for column in (column for column in about["axes"] if column not in ("learning_rate", "seed")):
        runs = runs[runs[column] == row[column]]
    curves = answer.curves.groupby("run_id")
    columns = ("dataset", "subset", "width", "depth", "optimizer", "schedule", "batch_size", "growth")
    return {
        "setting": {column: plain(row[column]) for column in columns},
        "data": about["datasets"][row["dataset"]],
        "best_rate": best,
        "runs": [
            {
                **{column: plain(run[column]) for column in ("status", "learning_rate", "seed", "n_train")},
                **{column: plain(run[column]) for column in ("train_loss", "val_loss", "initial_loss")},
                "rate": varying(curves.get_group(run["run_id"])["learning_rate"].tolist()),
                "train": curves.get_group(run["run_id"])["train_loss"].tolist(),
                "val": curves.get_group(run["run_id"])["val_loss"].tolist(),
            }
            for _, run in runs[runs["learning_rate"].isin(rates)].iterrows()
        ],
    }


def varying(rates: list[float]) -> list[float] | None:
    """The rates of a curve by epoch, None where a constant needs no list."""
    return [*map(plain, rates)] if len({*rates[1:]}) > 1 else None


def plain(value: Any) -> Any:
    """A cell of a frame as JSON has it."""
    value = getattr(value, "item", lambda: value)()
    return None if value != value else value


def draw(found: dict[str, Any], folder: Path) -> None:
    """Sheets of twelve cases: training loss full, validation loss dashed, a colour a seed, the best rate in grey."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(found["cases"]), 12):
        figure, axes = plt.subplots(3, 4, figsize=(22, 15), layout="constrained")
        for number, (axis, case) in enumerate(zip(axes.flat, found["cases"][start : start + 12], strict=False), start):
            panel(axis, found["settings"][case["setting"]], case["rate"], number)
        figure.savefig(folder / f"sheet-{start // 12}.png", dpi=70)
        plt.close(figure)


def panel(axis: Any, setting: dict[str, Any], rate: float, number: int) -> None:
    """The curves of one case."""
    for run in setting["runs"]:
        best = run["learning_rate"] == setting["best_rate"]
        if run["learning_rate"] == rate or best:
            mine = run["learning_rate"] == rate
            color = f"C{run['seed']}" if mine else "0.75"
            axis.plot(run["train"], "-", color=color, zorder=2 + mine, marker="." if mine else "")
            axis.plot(run["val"], "--", color=color, zorder=2 + mine)
    mine = [run for run in setting["runs"] if run["learning_rate"] == rate]
    chance = setting["data"]["chance"] if setting["data"]["task"] == "classification" else 1
    axis.axhline(chance, color="k", ls=":", lw=1)
    axis.axhline(np.mean([run["initial_loss"] for run in mine]), color="r", ls=":", lw=1)
    words = ", ".join(f"{value}" for value in setting["setting"].values() if value not in (None, 1.0, "constant"))
    lost = sum(run["status"] != "finished" for run in mine)
    axis.set_title(f"#{number}  {words}\nrate {rate:g} (best {setting['best_rate']:g}), {lost} diverged", fontsize=11)
    axis.set_yscale("log")


def keep(found: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """The cases with their labels, numbers to 4 significant digits; of other rates, only where curves start and end."""
    wanted = {(case["setting"], case["rate"]) for case in found["cases"]}
    settings = [
        {**setting, "runs": [run if (i, run["learning_rate"]) in wanted else ends(run) for run in setting["runs"]]}
        for i, setting in enumerate(found["settings"])
    ]
    cases = [{**case, "label": label} for case, label in zip(found["cases"], labels, strict=True)]
    text = json.dumps({"settings": settings, "cases": cases})
    rounded: dict[str, Any] = json.loads(text, parse_float=lambda number: float(f"{float(number):.4g}"))
    return rounded


def ends(run: dict[str, Any]) -> dict[str, Any]:
    """A run with its curves cut down to their first and last epoch."""
    return {**run, "rate": None, **{column: run[column][:: len(run[column]) - 1] for column in ("train", "val")}}


def said(found: dict[str, Any]) -> list[str | None]:
    """What the diagnosis says of each case."""
    from lrsweep.analysis.diagnosis import diagnose
    from lrsweep.analysis.ranking import rank

    runs, curves, about = frames(found["settings"])
    ranking = rank(runs, about)
    diagnosed = diagnose(ranking, runs, lambda _: curves, about)["diagnosis"]
    told = dict(zip(zip(ranking["number"], ranking["learning_rate"], strict=True), diagnosed, strict=True))
    return [told[case["setting"], case["rate"]] for case in found["cases"]]


def frames(settings: Sequence[dict[str, Any]]) -> tuple[Any, Any, dict[str, Any]]:
    """The frames of all runs and curves, and the `about` that goes with them; settings are told apart by a number."""
    import pandas as pd

    columns = ("status", "learning_rate", "seed", "n_train", "train_loss", "val_loss", "initial_loss")
    numbered = [
        (number, setting["setting"]["dataset"], run)
        for number, setting in enumerate(settings)
        for run in setting["runs"]
    ]
    runs = pd.DataFrame(
        [
            {"run_id": f"r{i}", "dataset": dataset, "number": number, **{column: run[column] for column in columns}}
            for i, (number, dataset, run) in enumerate(numbered)
        ]
    )
    parts = [
        pd.DataFrame(
            {"run_id": f"r{i}", "learning_rate": run["rate"], "train_loss": run["train"], "val_loss": run["val"]}
        )
        for i, (_, _, run) in enumerate(numbered)
    ]
    curves = pd.concat([part.astype({"learning_rate": float}).assign(epoch=range(len(part))) for part in parts])
    about = {
        "objective": "val_loss",
        "select": "final",
        "axes": {"number": [*range(len(settings))], "learning_rate": [], "seed": []},
        "settings": ["dataset", "number"],
        "datasets": {setting["setting"]["dataset"]: setting["data"] for setting in settings},
    }
    return runs, curves, about


def confusion(found: dict[str, Any]) -> str:
    """Labels by row, what the diagnosis says by column; then the cases in which they differ."""
    pairs = [*zip((case["label"] for case in found["cases"]), said(found), strict=True)]
    counts = Counter(pairs)
    lines = ["".join(f"{name:>12}" for name in ("", *LABELS))]
    lines += ["".join(f"{cell:>12}" for cell in (row, *(counts[row, column] for column in LABELS))) for row in LABELS]
    return "\n".join([*lines, *(f"{i}: {label}, not {told}" for i, (label, told) in enumerate(pairs) if label != told)])


def main() -> None:
    """The command line: see the top of this file."""
    match sys.argv[1:]:
        case ["cases", name, out]:
            Path(out).write_text(json.dumps(collect(name)))
        case ["draw", cases, folder]:
            draw(json.loads(Path(cases).read_text()), Path(folder))
        case ["keep", cases, name, out]:
            kept = keep(json.loads(Path(cases).read_text()), noted()["labels"][name])
            Path(out).write_text(json.dumps(kept, separators=(",", ":")) + "\n")
        case ["confusion", golden]:
            print(confusion(json.loads(Path(golden).read_text())))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
