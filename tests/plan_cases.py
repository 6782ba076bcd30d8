"""Plans of small sweeps over made data, for the tests."""

from pathlib import Path
from typing import Any

import numpy as np

from lrsweep import datasets
from lrsweep.plan import Plan, make_plan
from lrsweep.spec import load_spec
from lrsweep.vocabulary import Choice, LayerRates, Run, Source

RUN = Run(
    dataset=Source("name", "digits"),
    task="classification",
    subset=1.0,
    validation=0.2,
    test=0.2,
    split_seed=0,
    standardize=True,
    width=64,
    depth=1,
    activation="relu",
    parametrization="standard",
    base_width=64,
    optimizer=Choice("momentum", (("momentum", 0.9), ("weight_decay", 0.0))),
    learning_rate=0.1,
    layer_rates=LayerRates(),
    schedule=Choice("constant", (("warmup", 0),)),
    batch_size=32,
    epochs=20,
    clip_norm=None,
    growth=None,
    precision="float32",
    noise=(),
    seed=0,
)


def planned(folder: Path, text: str = "", *overrides: str, task: str = "classification", name: str = "s.yaml") -> Plan:
    """The plan of a sweep over 100 rows of 5 made features, 60 of them to train on."""
    folder.mkdir(exist_ok=True)
    rows = np.arange(500.0).reshape(100, 5)
    np.savez(folder / "d.npz", x=rows, y=rows[:, 0] / 7 if task == "regression" else np.arange(100) % 3)
    path = folder / name
    path.write_text(f"dataset: {{file: d.npz}}\n{text}\n" + ("" if "learning_rate" in text else "learning_rate: 0.1\n"))
    return make_plan(load_spec(path, overrides))


def ids(plan: Plan) -> list[str]:
    return [one.run_id for one in plan.runs]


def prepared(plan: Plan) -> Any:
    return lambda stack: datasets.prepare(plan.runs[0].data, stack.runs[0])
