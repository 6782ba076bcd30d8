"""What the README and the sweep files promise."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from lrsweep.cli import app
from lrsweep.plan import make_plan
from lrsweep.spec import load_spec
from lrsweep.spec.keys import FIELDS
from lrsweep.vocabulary import SpecError
from lrsweep.yaml_reader import draw

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder beside the sweep files, as the current one."""
    (tmp_path / "sweeps").symlink_to(ROOT / "sweeps")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_file_loads_and_plans(path: Path) -> None:
    assert make_plan(load_spec(path)).runs


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_file_has_its_question_answered(path: Path) -> None:
    assert path.name in (ROOT / "sweeps" / "README.md").read_text()


def test_the_first_sweep_file_of_the_readme_plans(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(blocks("yaml")[0])
    assert len(make_plan(load_spec(folder / "sweep.yaml")).runs) == 5 * 4 * 13 * 2 * 5


def test_the_mistakes_of_the_readme_are_answered_as_shown(folder: Path) -> None:
    (folder / "mistakes.yaml").write_text(blocks("yaml")[1])
    with pytest.raises(SpecError) as caught:
        load_spec(Path("mistakes.yaml"))
    assert draw(caught.value) == blocks("text")[1].rstrip("\n")


def test_the_commands_of_the_readme_work(folder: Path) -> None:
    for line in blocks("console")[0].splitlines():
        words = shlex.split(line.removeprefix("$ lrsweep "))
        done = subprocess.run([sys.executable, "-m", "lrsweep", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"


def test_the_python_of_the_readme_works(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", blocks("python")[0]], check=True)


def test_the_python_of_the_readme_compiles() -> None:
    """That for a cluster too, which no test has."""
    for code in blocks("python"):
        compile(code, "README.md", "exec")


@pytest.mark.parametrize("what", ["scheduler", "worker"])
def test_the_options_of_dask_in_the_readme_exist(what: str) -> None:
    """Those in its commands, what dask-jobqueue is to give to workers, and those of TLS, which both have."""
    words = re.findall(rf"\bdask {what}\b([^#&\n]*)", "".join(blocks("sh")))
    if what == "worker":
        words += re.findall(r"worker_extra_args=(.*?)\]", README)
    named = {*re.findall(r"--[a-z-]+", " ".join(words))}
    tls = {*re.findall(r"`(--tls-[a-z-]+)`", README)}
    main = pytest.importorskip(f"distributed.cli.dask_{what}").main
    assert len(words) == {"scheduler": 2, "worker": 3}[what]
    assert len(tls) == 3
    assert named | tls <= {option for each in main.params for option in each.opts}
    assert named


def names(option: str) -> bool:
    """Whether the README has an option, and not only a longer one that begins like it."""
    return re.search(rf"{option}(?![\w-])", README) is not None


def test_the_readme_names_every_command_option_and_key() -> None:
    commands = [info.name or info.callback.__name__ for info in app.registered_commands if info.callback]
    missing = [f"lrsweep {command}" for command in commands if f"`lrsweep {command}" not in README]
    options = {option for one in get_command(app).commands.values() for each in one.params for option in each.opts}
    missing += sorted(option for option in options - {"--override"} if option.startswith("--") and not names(option))
    missing += [key for key in FIELDS if f"`{key}`" not in README]
    assert not missing
