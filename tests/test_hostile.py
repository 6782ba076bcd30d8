"""Files and names that mean no good: refused in words or shown as they are, soon, and without harm anywhere."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_cases import BASE, BIG, CORPUS, Door, Ended
from page_cases import MILLISECONDS, hostile
from soon import GOES

from lrsweep.live import tell
from lrsweep.result import Result
from lrsweep.spec import load_spec, regridded
from lrsweep.spec.reader import source_of
from lrsweep.store.folder import next_backup
from lrsweep.vocabulary import UsageError
from lrsweep.yaml_reader import MAX_BYTES

SECONDS, MEGABYTES = 1.0, 150.0
"""What refusing a file may take: of the processor, since a loaded machine makes everybody wait, and of memory."""

TIMES = 2.5
"""What an empty file takes (0.4 s where nothing else runs): on a loaded machine the processor's seconds count less."""

ANSWERS = (CORPUS / "expected.txt").read_text("utf-8").splitlines()[2:]
EXPECTED: dict[str, str] = {name: words for name, _, words in (line.partition(": ") for line in ANSWERS)}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Commands, each in a process of its own; the data that they need is read already."""
    door = Door(tmp_path_factory.mktemp("door"))
    (door.folder / "first.yaml").write_text(BASE)
    door.run("plan", "first.yaml")
    yield door
    door.close()


def shown_harmless(ended: Ended) -> None:
    """What was printed steers no terminal, is no traceback, and is no longer than a screen or two."""
    for text in (ended.stdout, ended.stderr):
        assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr) < 10_000


def run_soon(door: Door, *arguments: str | Path, new: bool = False) -> Ended:
    """What a command came to; it took little time and memory."""
    ended = door.run(*arguments, new=new)
    assert ended.cpu < SECONDS or any(
        door.run(*arguments, new=new).cpu < TIMES * door.run("plan", CORPUS / "nothing.yaml", new=new).cpu
        for _ in range(GOES)  # what slows a processor for a moment may fall upon only one of the two
    )
    assert ended.memory < MEGABYTES
    return ended


def test_every_file_of_the_corpus_has_its_answer() -> None:
    assert {path.stem for path in CORPUS.glob("*.yaml")} == set(EXPECTED)
    assert len(EXPECTED) >= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hostile_file_is_refused_in_words_or_is_harmless(door: Door, name: str) -> None:
    before = {path.name for path in door.folder.iterdir()}
    ended = run_soon(door, "plan", CORPUS / f"{name}.yaml")
    shown_harmless(ended)
    if EXPECTED[name] == "accepted":
        assert (ended.code, ended.stderr.count("\n")) == (0, 1)
    else:
        assert ended.code == 2
        assert EXPECTED[name] in ended.stderr
        assert ended.stdout == ""
    assert {path.name for path in door.folder.iterdir()} == before


@pytest.mark.parametrize("name", BIG)
def test_a_big_file_is_refused_soon(door: Door, name: str) -> None:
    data = BIG[name]
    (door.folder / "big.yaml").write_bytes(data if isinstance(data, bytes) else data.encode())
    ended = run_soon(door, "plan", "big.yaml")
    shown_harmless(ended)
    assert ended.code == 2


# Files that are none


def odd_files(folder: Path) -> dict[str, Path]:
    """Arguments that name no ordinary sweep file."""
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / "pipe.yaml")
    with (folder / "sparse.yaml").open("wb") as sparse:
        sparse.truncate(10 * 2**30)
    (folder / "large.yaml").write_bytes(b"a: 1\n" * 20_000_000)
    (folder / "folder.yaml").mkdir()
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "dangling.yaml").symlink_to("nowhere.yaml")
    (folder / "link.yaml").symlink_to("/dev/zero")
    closed = folder / "closed.yaml"
    closed.write_text(BASE)
    closed.chmod(0)
    found = {path.name: path for path in folder.iterdir() if path != closed or os.geteuid()}  # root may read all
    devices = ("/dev/zero", "/dev/null", "/dev/stdin", "/dev/tty", "/proc/self/mem", "/proc/self/environ", "/", "")
    return found | {name: Path(name) for name in devices} | {"long": Path("x" * 300), "deep": Path("x/" * 3_000)}


def test_what_is_no_ordinary_file_is_refused(door: Door) -> None:
    """Nothing is waited for, and no more is read than a sweep file may have."""
    for name, path in odd_files(door.folder / "odd").items():
        ended = run_soon(door, "plan", path)
        shown_harmless(ended)
        assert (ended.code, ended.stdout) == (2, ""), name


def test_no_more_of_a_file_is_read_than_it_may_have(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_bytes(b"#" * 3 * MAX_BYTES)
    assert len(source_of(path)) == MAX_BYTES + 1


def test_a_path_that_no_system_has_is_refused() -> None:
    with pytest.raises(UsageError, match="embedded null byte; name a sweep file"):
        source_of(Path("a\0.yaml"))


@pytest.mark.parametrize("name", ["name-two-dots", "name-up", "name-dot", "name-tag", "name-absolute"])
def test_a_name_that_is_refused_makes_no_folder_and_no_lock(door: Door, name: str) -> None:
    before = {*door.folder.rglob("*")}
    assert door.run("run", CORPUS / f"{name}.yaml").code == 2
    assert {*door.folder.rglob("*")} == before


WORST = [
    *("as many blocks as there may be", "as many unknown keys as there may be", "blocks that are wrong", "growth"),
    *("excludes that compare more than they may", "optimizers", "rates", "properties", "duplicates", "question lines"),
]


@pytest.mark.parametrize("name", WORST)
def test_the_worst_are_refused_as_soon_by_the_command_itself(door: Door, tmp_path: Path, name: str) -> None:
    """From the start of Python to the end, without a fork."""
    path = tmp_path / "big.yaml"
    path.write_text(str(BIG[name]))
    ended = run_soon(door, "run", path, "--results", tmp_path / "results", new=True)
    shown_harmless(ended)
    assert ended.code == 2
    assert not (tmp_path / "results").exists()


# What a file says, and where it shows


def test_what_is_told_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell("one \x1b[31m\u202e\udcff\ntwo")
    assert capsys.readouterr().err == "one \\x1b[31m\\u202e\\udcff\ntwo\n"


TEXT = (
    "=cmd|' /C calc'!A0 [/red][bold]x[/] </script><script>document.title='harmed'</script><!-- "
    "<img src=x onerror=document.title='harmed'> $(touch harmed) `touch harmed` {0} %s \\ \" '"
)
TARGET = "=1+1 [/red] <img src=x onerror=document.title='harmed'>"
TABLE = "=cmd\n\t[red] $(touch harmed) <script>document.title='harmed'<∕script>.csv"
SPEC = "a b\n$(touch harmed) '\x1b[31m\u202e\udcff<b>.yaml"
CLASSES = ("=cmd", "\x1b[31m[/red]\u202e", "<script>document.title='harmed'</script>")


def everywhere_hostile(folder: Path) -> Path:
    """A sweep file in which every free text means harm, and its data; each name and column that is free does too."""
    with (folder / TABLE).open("w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow([TARGET, "\x1b[2J<b>x</b>", "\u202ey"])
        table.writerows([CLASSES[i % 3], "ab"[i % 2], i % 3 + i % 7 / 10] for i in range(90))
    path = folder / SPEC
    source = f"{{file: {json.dumps(TABLE)}, target: {json.dumps(TARGET)}}}"
    other = source.replace("}", ", task: classification}")
    path.write_text(
        f"name: con\ndescription: {json.dumps(TEXT)}\ndataset: [{source}, {other}]\n"
        "learning_rate: [0.1, 1]\nepochs: 1\nwidth: 2\nseeds: 2\n"
    )
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Ended]]]:
    """The folder of such a sweep, with what each command told of it."""
    door = Door(tmp_path_factory.mktemp("trained"))
    spec = everywhere_hostile(door.folder).name
    commands = {
        "plan": ("plan", spec, "--runs"),
        "plan as json": ("plan", spec, "--json"),
        "run": ("run", spec, "--workers", "0", "--html", "-o", f"description={json.dumps(TEXT)}"),
        "run again": ("run", spec, "--workers", "0", "--json", "--html"),
        "report": ("report", spec, "--all"),
        "find": ("find", spec, "--no-confirm", "--write", "new\n\x1b[31m.yaml"),
        "plan of what find wrote": ("plan", "new\n\x1b[31m.yaml"),
        "coordcheck": ("coordcheck", spec),
        "init": ("init", "-\n\x1b[31m.yaml"),
        "init again": ("init", "./-\n\x1b[31m.yaml"),
        "too many arguments": ("plan", spec, "\x1b[31m[/red]"),
        "no such report": ("report", "\x1b[31m[/red]\n"),
        "no such column": ("report", spec, "--by", "\x1b[31m[/red]\n"),
        "no such key": ("plan", spec, "-o", "\x1b[31m[/red]=1"),
        "results elsewhere": ("plan", spec, "--results", "-\x1b[31m\n"),
    }
    yield door.folder, {name: door.run(*command) for name, command in commands.items()}
    door.close()


CODES = {
    "init": 2,
    "init again": 0,
    "too many arguments": 2,
    "no such report": 3,
    "no such column": 2,
    "no such key": 2,
}


def test_nothing_that_is_printed_steers_the_terminal(trained: tuple[Path, dict[str, Ended]]) -> None:
    folder, told = trained
    for name, ended in told.items():
        shown_harmless(ended)
        assert ended.code == CODES.get(name, 1 if name == "coordcheck" and ended.code == 1 else 0), (name, ended.stderr)
    assert not (folder / "harmed").exists()


def test_no_text_is_taken_for_markup(trained: tuple[Path, dict[str, Ended]]) -> None:
    _, told = trained
    for name in ("plan", "run", "report", "find"):
        shown = " ".join(told[name].stdout.split())
        assert "[/red] <img src=x" in shown, name


def test_the_next_command_is_one_that_a_shell_reads_back(trained: tuple[Path, dict[str, Ended]]) -> None:
    """A shell that is given the line gets the file's name whole, and runs nothing else."""
    folder, told = trained
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    for name, file in (("plan", SPEC), ("find", "new\n\x1b[31m.yaml"), ("init again", "-\n\x1b[31m.yaml")):
        [line] = [line for line in told[name].stderr.split("\n") if line.startswith("Next: ")]
        asked = f"lrsweep() {{ printf '%s' \"$2\"; }}; {line.removeprefix('Next: ')}"
        got = subprocess.run([bash, "-c", asked], capture_output=True, cwd=folder, check=True).stdout
        assert Path(os.fsdecode(got)) == Path(file), name
        assert not got.startswith(b"-")  # else it would be an option
    assert not (folder / "harmed").exists()


def test_no_cell_is_a_formula_or_steers_a_terminal(trained: tuple[Path, dict[str, Ended]]) -> None:
    folder, _ = trained
    files = sorted((folder / "results/con").glob("*.csv"))
    assert len(files) >= 4
    for path in files:
        text = path.read_text("utf-8")
        assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                assert not re.match(r"\s*[=+@]|\s*-(?![0-9.]|inf)", cell), (path.name, cell)


def test_json_has_the_texts_as_they_are_but_nothing_that_cannot_be_shown(
    trained: tuple[Path, dict[str, Ended]],
) -> None:
    folder, told = trained
    for text in (told["plan as json"].stdout, told["run again"].stdout, *map(Path.read_text, folder.rglob("*.json"))):
        assert not [sign for sign in text if sign != "\n" and not sign.isprintable()]
        json.loads(text)
    assert json.loads(told["plan as json"].stdout)["path"] == SPEC


def test_a_notebook_shows_the_texts_as_text() -> None:
    shown = Result(hostile(), Path(), 0, 0.0)._repr_html_()
    assert "&lt;img src=x" in shown
    assert "<img" not in shown
    assert "<script" not in shown


def test_what_find_writes_is_the_file_with_its_texts(trained: tuple[Path, dict[str, Ended]]) -> None:
    folder, _ = trained
    new, old = (load_spec(folder / name) for name in ("new\n\x1b[31m.yaml", SPEC))
    assert (new.name, new.description) == (old.name, old.description)
    assert new.blocks[0].axes["dataset"] == old.blocks[0].axes["dataset"]


@pytest.mark.parametrize("name", ["123", "1e3", "0x10", "true", "null"])
def test_a_name_that_looks_like_a_number_stays_a_text_in_what_find_writes(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text("dataset: iris\nlearning_rate: 1\n")
    new = tmp_path / "new.yaml"
    new.write_text(regridded(load_spec(path), new, ["{log: [0.1, 1], num: 3}"]))
    assert load_spec(new).name == name


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")
def test_the_page_runs_no_foreign_script_and_shows_the_texts(trained: tuple[Path, dict[str, Ended]]) -> None:
    from playwright.sync_api import sync_playwright

    folder, _ = trained
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=MILLISECONDS)
        page = browser.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((folder / "results/con/report.html").absolute().as_uri())
        page.wait_for_selector("html[data-ready]")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        shown = page.locator("body").inner_text()
        title = page.title()
        scripts = page.evaluate("[...document.scripts].map(one => one.type || 'code')")
        browser.close()
    assert complaints == []  # the page's policy would complain of a script or an image that is not its own
    assert title != "harmed"
    assert scripts.count("code") == 2
    assert "<img src=x onerror=document.title='harmed'>" in shown
    assert "</script><script>document.title='harmed'</script><!--" in shown


def test_the_name_of_a_backup_stays_out_of_the_way_of_fresh(tmp_path: Path) -> None:
    """A sweep may be called as `--fresh` calls what it keeps: the next free number is taken."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x.bak-1").mkdir()
    assert next_backup(tmp_path / "x").name == "x.bak-2"
