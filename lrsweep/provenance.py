"""What is noted of a sweep beside its runs: for the analysis, and for whoever asks where the numbers are from."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lrsweep import __version__, datasets
from lrsweep.analysis.elimination import Elimination
from lrsweep.plan import Plan
from lrsweep.vocabulary import FORMAT, NUMERICS, RawData


def about(planned: Plan) -> dict[str, Any]:
    """What the analysis needs to know of a sweep beside its runs."""
    spec, sources = planned.spec, {}
    for one in planned.rows():
        label = str(one.run.dataset)
        if label not in sources:
            whole = datasets.split_sizes(len(one.data.y), replace(one.run, subset=1.0))[0]
            shape = {"n_rows": len(one.data.y), "n_train": whole, "n_features": int(one.data.x[0].size)}
            sources[label] = shape | {
                "task": one.data.task,
                "n_classes": len(one.data.classes),
                "chance": chance(one.data),
            }
    return {
        "name": spec.name,
        "description": spec.description,
        "objective": spec.objective,
        "select": spec.select,
        "task": planned.runs[0].run.task,
        "axes": planned.axes(),
        "settings": [*next(iter(planned.rows().values()))],
        "datasets": sources,
        "spec_path": str(spec.path),
        "overrides": list(spec.overrides),
        "expect": dict(spec.expect),
        "elimination": asdict(spec.elimination) if spec.elimination != Elimination() else None,
        "extend": asdict(spec.extend) if spec.extend else None,
        "refine": asdict(spec.refine) if spec.refine else None,
        "additions": [asdict(addition) | {"rates": list(addition.rates)} for addition in planned.additions],
    }


def chance(data: RawData) -> float:
    """The loss of the best constant prediction: the entropy of the class frequencies in nats, or the target's variance.

    Of all rows: the split and subsets are stratified. Standardizing brings the variance to 1.
    """
    if data.task == "regression":
        return float(np.var(data.y))
    shares = np.bincount(data.y) / len(data.y)
    return float(-(shares * np.log(np.where(shares > 0, shares, 1))).sum())


def is_noted(path: Path) -> bool:
    """Whether a file holds what `provenance` says: it may have been removed, or torn."""
    try:
        return isinstance(json.loads(path.read_text("utf-8")), dict)
    except (OSError, ValueError):
        return False


def provenance(planned: Plan, workers: int, cluster: str | None = None) -> bytes:
    """What these numbers came from: versions, machine, data, arguments. JSON."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    packages = {package: version(package) for package in ("numpy", "pandas", "scikit-learn")}
    document = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"lrsweep": __version__, "python": platform.python_version(), **packages},
        "format": FORMAT,
        "numerics": NUMERICS,
        "blas": {key: blas.get(key) for key in ("name", "version", "openblas configuration") if key in blas},
        "platform": platform.platform(),
        "cpu": cpu(),
        "workers": workers,
        "cluster": cluster,
        "git_commit": git_commit(planned.spec.path.parent),
        "data": {str(one.run.dataset): one.data.fingerprint for one in planned.rows()},
        "overrides": list(planned.spec.overrides),
        "arguments": sys.argv[1:],
    }
    return (json.dumps(document, indent=2) + "\n").encode()  # in ASCII: a file's name may be no text at all


def cpu() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def git_commit(folder: Path) -> str | None:
    """The commit of the sweep file's folder, with `-dirty` where files differ from it; None outside a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  fixed words, no shell
    return told.stdout.strip() or None
