"""A file from a stranger can do no harm: nothing is unpickled or evaluated, and the network is for two things alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lrsweep"
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}

RUNS_WHAT_IT_READS = {
    "pickle",
    "cPickle",
    "_pickle",
    "shelve",
    "marshal",
    "joblib",
    "dill",
    "cloudpickle",
    "code",
    "imp",
}

NETWORK = {
    *("socket", "socketserver", "ssl", "http", "urllib", "urllib3", "requests", "aiohttp", "httpx", "asyncio"),
    *("ftplib", "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc", "dask", "distributed"),
}
MAY_USE_IT = {
    "datasets/openml.py": {"http", "urllib"},
    "execute/cluster.py": {"asyncio", "dask", "distributed"},
    "execute/delivery.py": {"asyncio", "distributed"},
    "execute/connection.py": {"asyncio", "distributed", "socket", "ssl"},
    "execute/remote.py": {"distributed"},
}
"""`openml:` and the cluster."""

NO_NETWORK = "urllib.parse"
"""What is in one of these modules and only takes addresses apart."""

RUN_TEXT = {
    *("eval", "exec", "compile", "__import__", "breakpoint", "os.system", "os.popen", "tempfile.mktemp"),
    *("importlib.import_module", "importlib.reload", "runpy.run_path", "runpy.run_module", "np.fromfile"),
    *("pd.read_pickle", "pandas.read_pickle", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"),
}
PICKLING = {f"{module}.{name}" for module in ("np", "numpy", "np.lib.format") for name in ("load", "save")} | {
    f"np.lib.format.{name}" for name in ("read_array", "write_array", "open_memmap")
}
"""NumPy's functions that pickle unless they are told not to."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """The calls in a file, each with what is called, as in `np.load`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(tree: ast.AST) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


def first(modules: set[str]) -> set[str]:
    """The top-level ones."""
    return {module.partition(".")[0] for module in modules}


def keyword(call: ast.Call, name: str) -> object:
    """The value of a call's keyword, if one stands there; else None."""
    given = next((word.value for word in call.keywords if word.arg == name), None)
    return given.value if isinstance(given, ast.Constant) else None


def unsafe(tree: ast.AST) -> list[str]:
    """What a file does that may run what it reads."""
    found = sorted(first(imported(tree)) & RUNS_WHAT_IT_READS)
    for name, call in calls(tree):
        if (
            name in RUN_TEXT
            or keyword(call, "shell")
            or (name in PICKLING and keyword(call, "allow_pickle") is not False)
        ):
            found.append(f"{name} in line {call.lineno}")
    return found


def test_nothing_is_run_that_was_read() -> None:
    assert len(TREES) > 100
    assert {path: found for path, tree in TREES.items() if (found := unsafe(tree))} == {}


def test_the_network_is_for_openml_and_the_cluster_alone() -> None:
    used = {path: first(imported(tree) - {NO_NETWORK}) & NETWORK for path, tree in TREES.items()}
    assert {path: found for path, found in used.items() if found - MAY_USE_IT.get(path, set())} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "def f(path):\n    import shelve",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=wanted)",
        "np.save(path, x)",
        "np.lib.format.read_array(file)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "tempfile.mktemp()",
    ],
)
def test_what_is_not_wanted_would_be_found(line: str) -> None:
    assert unsafe(ast.parse(line))


WATCHED = """
import json, os, sys

seen = []
pid = os.getpid()

def watch(event, arguments):
    if os.getpid() == pid and event in WANTED:
        seen.append((event, *map(str, arguments)))

WANTED = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request", "os.system",
          "subprocess.Popen", "pickle.find_class", "shelve.open", "exec.file"}
sys.addaudithook(watch)
from typer.testing import CliRunner
from lrsweep.cli import app

for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
print(json.dumps(seen))
"""

PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


def test_a_sweep_opens_no_connection_and_leaves_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own audit tells of every connection; what comes through the workers' pipes is from this very command."""
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "s.yaml").write_text(
        "{dataset: iris, width: 4, learning_rate: [0.01, 0.1, 1], epochs: 2, seeds: 2, elimination: halving}"
    )
    asked = [["run", "s.yaml", "--workers", "1"], ["report", "s"]]
    told = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(asked)], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    seen = json.loads(told.stdout)
    assert [event for event in seen if event[0] != "pickle.find_class" and not is_own(event)] == []
    classes = {tuple(event[1:]) for event in seen if event[0] == "pickle.find_class"}
    assert {module.partition(".")[0] for module, _ in classes} <= {
        "lrsweep",
        "numpy",
        "builtins",
        "pandas",
        "functools",
    }
    files = [path for folder in ("cache", "results") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert not path.read_bytes().startswith(PICKLES), path


def is_own(event: list[str]) -> bool:
    """Whether a program that was started is one of those that are asked for the commit and the processor."""
    return event[0] == "subprocess.Popen" and Path(event[1]).name in ("git", "uname")
