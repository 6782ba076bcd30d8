"""The command line: what it prints where, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrsweep import __version__
from lrsweep.cli import app
from lrsweep.spec import load_spec, template
from lrsweep.vocabulary import StoreError

TEXT = "{dataset: iris, width: 4, learning_rate: [0.01, 0.1], epochs: 2, seeds: 2}"
COMMANDS = ["init", "plan", "run", "report", "find", "coordcheck", "list", "schema"]

runner = CliRunner()


def lrsweep(*arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command prints on stdout and stderr, in this process."""
    if arguments[0] == "run":
        arguments = (*arguments, "--workers", "0")
    result = runner.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    out, _ = lrsweep(command, "--help")
    assert "Usage:" in out


def test_the_commands_are_the_ones_tested_here() -> None:
    assert [info.name or info.callback.__name__ for info in app.registered_commands if info.callback] == COMMANDS


def test_the_version() -> None:
    assert lrsweep("--version")[0] == f"lrsweep {__version__}\n"


def test_no_command_is_usage() -> None:
    lrsweep("--no-such-option", code=2)


def test_init_writes_a_file_that_loads_and_will_not_overwrite_it(spec: Path) -> None:
    _, said = lrsweep("init", "new.yaml")
    assert Path("new.yaml").read_text() == template()
    assert load_spec(Path("new.yaml")).name == "new"
    assert "Next: lrsweep plan new.yaml" in said
    _, said = lrsweep("init", "new.yaml", code=2)
    assert said == "lrsweep: new.yaml exists already; name another file, or remove it first\n"


def test_init_says_where_it_cannot_write(spec: Path) -> None:
    _, said = lrsweep("init", "no/such/folder.yaml", code=2)
    assert said.startswith("lrsweep: no/such/folder.yaml cannot be written")


def test_plan_shows_axes_runs_and_costs(spec: Path) -> None:
    out, said = lrsweep("plan", "small.yaml")
    assert re.search(r"runs\s+4 = 2 × 2\s+done 0\s+new 4\s+stale 0\s+failed 0", out)
    assert said == "Next: lrsweep run small.yaml\n"


def test_plan_lists_runs(spec: Path) -> None:
    out, _ = lrsweep("plan", "small.yaml", "--runs")
    assert len(re.findall(r"r[0-9a-f]{12}", out)) == 4


def test_plan_as_json(spec: Path) -> None:
    document = json.loads(lrsweep("plan", "small.yaml", "--json")[0])
    assert (document["schema_version"], document["runs"], document["counts"]["new"]) == (1, 4, 4)
    assert document["seconds"] > 0


def test_run_prints_the_answer_and_names_the_next_command(spec: Path) -> None:
    out, said = lrsweep("run", "small.yaml")
    assert "best" in out
    assert said.splitlines()[0] == "small  4 runs: 0 done, 4 to train"
    assert said.splitlines()[-1] == "Next: lrsweep report small --html --open"


def test_run_again_trains_nothing_and_says_so(spec: Path) -> None:
    lrsweep("run", "small.yaml")
    _, said = lrsweep("run", "small.yaml")
    assert "4 runs: 4 done, 0 to train" in said


def test_run_as_json_is_one_document(spec: Path) -> None:
    document = json.loads(lrsweep("run", "small.yaml", "--json")[0])
    [setting] = document["settings"]
    assert document["sweep"] == "small"
    assert setting["best_rate"] in (0.01, 0.1)
    assert (document["counts"]["done"], document["counts"]["finished"]) == (4, 4)


def test_quiet_says_nothing_on_stderr(spec: Path) -> None:
    assert lrsweep("run", "small.yaml", "--quiet")[1] == ""


def test_overrides_change_the_sweep(spec: Path) -> None:
    _, said = lrsweep("run", "small.yaml", "-o", "width=2,3", "-o", "learning_rate={log: [1e-3, 1], num: 4}")
    assert "16 runs" in said


def test_runs_that_are_one_are_counted_once_and_that_is_said(spec: Path) -> None:
    alike = ("-o", "depth=0", "-o", "width=4,8,4")
    said = "8 more, the same as one of these in all that acts: counted once"
    assert re.search(rf"runs\s+4 = 2 × 2 .*\n\s+alike\s+{said}", lrsweep("plan", "small.yaml", *alike)[0])
    assert lrsweep("run", "small.yaml", *alike)[1].splitlines()[:2] == ["small  4 runs: 0 done, 4 to train", said]


def test_a_mistake_is_told_with_its_place_and_exit_code_2(spec: Path) -> None:
    spec.write_text("{dataset: iris, learning_rate: 0}")
    _, said = lrsweep("run", "small.yaml", code=2)
    assert said.startswith("small.yaml:1:32: learning_rate: 0 must be above 0")
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("plan", "none.yaml"), 2),
        (("plan", "small.yaml", "-o", "width"), 2),
        (("plan", "small.yaml", "--max-runs", "3"), 2),
        (("coordcheck", "none.yaml"), 2),
        (("coordcheck", "small.yaml", "--max-runs", "3"), 2),
        (("coordcheck", "small.yaml", "--rate", "nan"), 2),
        (("coordcheck", "small.yaml", "-o", "base_width=1000000000"), 2),
        (("report", "none"), 3),
        (("run", "small.yaml", "--results", "small.yaml"), 3),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(spec: Path, arguments: tuple[str, ...], code: int) -> None:
    _, said = lrsweep(*arguments, code=code)
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 3  # a mistake in the file has its line and caret below it


def test_what_nobody_foresaw_is_one_line_too(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.search.work.make_stacks", lambda *_: 1 / 0)
    _, said = lrsweep("run", "small.yaml", code=1)
    assert said == "lrsweep: ZeroDivisionError: division by zero; --debug shows where\n"


def test_after_a_report_of_an_unfinished_sweep_comes_the_rest_with_the_same_overrides(spec: Path) -> None:
    shown, _ = lrsweep("run", "small.yaml", "-o", "width=2,3", "--time-limit", "0")
    assert "none trained now" in shown.splitlines()[0]
    _, said = lrsweep("report", "small")
    assert said == "Next: lrsweep run small.yaml -o width=2,3\n"


def test_the_next_command_allows_as_many_runs(spec: Path) -> None:
    _, said = lrsweep("plan", "small.yaml", "--max-runs", "20000")
    assert said.endswith("Next: lrsweep run small.yaml --max-runs 20000\n")


def test_json_refuses_what_shapes_the_summary(spec: Path) -> None:
    lrsweep("run", "small.yaml")
    lrsweep("report", "small", "--json", "--top", "1", code=2)


def test_debug_shows_the_traceback(spec: Path) -> None:
    result = runner.invoke(app, ["report", "none", "--debug"])
    assert type(result.exception).__name__ == "StoreError"


def test_failed_runs_end_with_exit_code_1(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.execute.training.train", lambda stack, data: 1 / 0)
    lrsweep("run", "small.yaml", code=1)


def test_after_failures_comes_the_command_that_trains_them_again(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.execute.training.train", lambda stack, data: 1 / 0)
    _, said = lrsweep("run", "small.yaml", code=1)
    assert said.endswith("Next, once what made them fail is mended: lrsweep run small.yaml --retry-failed\n")


def test_a_remedy_names_the_file_and_the_results_that_were_given(spec: Path) -> None:
    lrsweep("run", "small.yaml", "--results", "out")
    Path("out/small/sweep.db").write_bytes(b"damaged" * 1000)
    for command in ("plan", "run"):
        _, said = lrsweep(command, "small.yaml", "--results", "out", code=3)
        assert "; lrsweep run small.yaml --results out --fresh starts anew" in said
    _, said = lrsweep("run", "small.yaml", "--results", "out", "--max-runs", "20000", code=3)
    assert "; lrsweep run small.yaml --max-runs 20000 --results out --fresh starts anew" in said
    assert "; lrsweep run SPEC --fresh" in lrsweep("report", "small", "--results", "out", code=3)[1]


def test_report_shows_every_rate_with_all(spec: Path) -> None:
    lrsweep("run", "small.yaml")
    out, _ = lrsweep("report", "small", "--all")
    assert "0.01" in out
    assert "0.1" in out


def test_report_of_several_sweeps_is_one_document(spec: Path) -> None:
    lrsweep("run", "small.yaml")
    lrsweep("run", "small.yaml", "-o", "name=other")
    document = json.loads(lrsweep("report", "small", "other", "--json")[0])
    assert [sweep["sweep"] for sweep in document["sweeps"]] == ["small", "other"]


def test_results_elsewhere_are_named_in_the_next_command(spec: Path) -> None:
    _, said = lrsweep("run", "small.yaml", "--results", "out")
    assert said.splitlines()[-1] == "Next: lrsweep report small --html --open --results out"


# What is expected


@pytest.mark.parametrize(("expect", "code"), [("{failed: == 0}", 0), ("{failed: == 0, best_val_loss: < 0.001}", 1)])
def test_an_expectation_that_is_not_met_ends_run_with_1_and_report_with_0(spec: Path, expect: str, code: int) -> None:
    out, said = lrsweep("run", "small.yaml", "-o", f"expect={expect}", code=code)
    assert ("best_val_loss" in out) == (code == 1)
    assert said.splitlines()[-1].startswith("Next: ")
    again, _ = lrsweep("report", "small")
    assert ("best_val_loss" in again) == (code == 1)


def test_expectations_as_json_have_what_was_wanted_and_found(spec: Path) -> None:
    document = json.loads(lrsweep("run", "small.yaml", "-o", "expect={diverged: == 0}", "--json")[0])
    assert document["expect"] == [{"name": "diverged", "wanted": "== 0", "found": "0", "met": True}]
    assert json.loads(lrsweep("report", "small", "--json")[0]) == document


# The page


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for the page, and for a browser; what that was shown."""
    shown: list[str] = []
    monkeypatch.setattr(
        "lrsweep.report.page.page", lambda answer, provenance, text, runs_csv: f"{answer.folder} {text}"
    )
    monkeypatch.setattr("lrsweep.result.has_plotly", lambda: True)
    monkeypatch.setattr("webbrowser.open", lambda address: shown.append(address) or True)
    return shown


def page_of(folder: Path) -> str:
    """What the stand-in writes as the page of a sweep."""
    return f"{folder} {TEXT}"


def test_run_writes_the_page_into_the_results_folder(spec: Path, pages: list[str]) -> None:
    _, said = lrsweep("run", "small.yaml", "--html")
    page = Path("results/small/report.html")
    assert page.read_text() == page_of(page.parent)
    assert said.splitlines()[-2:] == [f"Page: {page}", "Next: lrsweep report small --open"]
    assert pages == []


def test_run_prints_the_answer_even_if_the_page_cannot_be_written(
    spec: Path, pages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        raise StoreError(f"{path} cannot be written")

    monkeypatch.setattr("lrsweep.result.write_file", full)
    out, said = lrsweep("run", "small.yaml", "--html", code=3)
    assert "best" in out
    assert said.splitlines()[-1] == "lrsweep: results/small/report.html cannot be written"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["--html"], "results/small/report.html"),
        (["--output", "mine.html"], "mine.html"),
        (["--html", "--output", "mine.html"], "mine.html"),
    ],
)
def test_report_writes_the_page_where_it_is_wanted(
    spec: Path, pages: list[str], arguments: list[str], path: str
) -> None:
    lrsweep("run", "small.yaml")
    out, said = lrsweep("report", "small", *arguments)
    assert [str(found) for found in Path().rglob("*.html")] == [path]
    assert Path(path).read_text() == page_of(Path("results/small"))
    assert said.splitlines()[0] == f"Page: {path}"
    assert "small" in out
    assert pages == []


@pytest.mark.parametrize("arguments", [["--open"], ["--html", "--open"], ["--open", "--output", "mine.html"]])
def test_report_opens_the_page_that_it_wrote(spec: Path, pages: list[str], arguments: list[str]) -> None:
    lrsweep("run", "small.yaml")
    lrsweep("report", "small", *arguments)
    [page] = Path().rglob("*.html")
    assert pages == [page.absolute().as_uri()]


def test_without_a_browser_the_path_is_said(spec: Path, pages: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    lrsweep("run", "small.yaml")
    _, said = lrsweep("report", "small", "--open", "--quiet")
    assert said == f"no browser to show it here; open {Path('results/small/report.html').absolute()} in one\n"


def test_each_of_several_sweeps_has_its_page_in_its_folder(spec: Path, pages: list[str]) -> None:
    for name in ("small", "other"):
        lrsweep("run", "small.yaml", "-o", f"name={name}")
    lrsweep("report", "small", "other", "--html", "--json")
    for folder in (Path("results/small"), Path("results/other")):
        assert (folder / "report.html").read_text() == page_of(folder)
    _, said = lrsweep("report", "small", "other", "--output", "mine.html", code=2)
    assert said.startswith("lrsweep: --output names one page; name one sweep")
    assert not Path("mine.html").exists()


@pytest.mark.parametrize("command", [["run", "small.yaml", "--html"], ["report", "small", "--open"]])
def test_without_plotly_nothing_is_begun(spec: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setattr("lrsweep.result.has_plotly", lambda: False)
    _, said = lrsweep(*command, code=2)
    remedy = "pip install 'lrsweep[plots]', or '.[plots]' in a clone"
    assert said == f"lrsweep: --html draws with Plotly, which is not installed; {remedy}\n"
    assert not Path("results").exists()


def test_without_plotly_the_next_command_does_without(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.result.has_plotly", lambda: False)
    assert lrsweep("run", "small.yaml")[1].splitlines()[-1] == "Next: lrsweep report small --all"


@pytest.mark.parametrize(
    ("arguments", "following"),
    [
        ([], "lrsweep report small --html --open"),
        (["--all"], "lrsweep report small --html --open"),
        (["--html"], "lrsweep report small --open"),
        (["--open"], "lrsweep report small --all"),
        (["--open", "--all"], None),
        (["--html", "--open", "--all"], None),
    ],
)
def test_after_a_report_of_a_finished_sweep_comes_what_was_not_shown(
    spec: Path, pages: list[str], arguments: list[str], following: str | None
) -> None:
    lrsweep("run", "small.yaml")
    _, said = lrsweep("report", "small", *arguments)
    told = [line.removeprefix("Next: ") for line in said.splitlines() if line.startswith("Next")]
    assert told == ([following] if following else [])


def test_a_page_of_what_is_stored_no_more_is_drawn_anew(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml", "--html")
    assert lrsweep("report", "small")[1] == "Next: lrsweep report small --all\n"
    os.utime("results/small/report.html", (0, 0))
    assert lrsweep("report", "small")[1] == "Next: lrsweep report small --html --open\n"


def test_a_sweep_that_lies_elsewhere_is_named_by_its_folder(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml", "--results", "out")
    assert lrsweep("report", "out/small")[1] == "Next: lrsweep report out/small --html --open\n"
    assert lrsweep("report", "--results", "out")[1] == "Next: lrsweep report small --html --open --results out\n"


@pytest.mark.parametrize(
    ("output", "lack"),
    [
        ("no/such/page.html", "no/such does not exist; make that folder first, or name another file with --output"),
        ("small.yaml/page.html", "small.yaml is no folder; name another file with --output"),
        ("results", "is a folder; name one, as page.html"),
        ("", "is a folder; name one, as page.html"),
        ("-", "is no file; name one, as page.html"),
    ],
)
def test_an_output_that_cannot_be_a_page_is_refused_with_the_remedy(
    spec: Path, pages: list[str], output: str, lack: str
) -> None:
    lrsweep("run", "small.yaml")
    before = sorted(Path().rglob("*"))
    _, said = lrsweep("report", "small", "--output", output, code=2)
    assert said.startswith(f"lrsweep: --output {output or '.'}")
    assert said.endswith(f"{lack}\n")
    assert sorted(Path().rglob("*")) == before


def test_a_pipe_is_no_output(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml")
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    for output in ("pipe", "link"):
        _, said = lrsweep("report", "small", "--output", output, code=2)
        assert said == f"lrsweep: --output {output} is there and no plain file; name another file with --output\n"
    assert Path("pipe").is_fifo()
    assert Path("link").is_symlink()


def test_an_output_that_is_a_link_stays_one(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml")
    Path("mine.html").write_text("old")
    Path("link.html").symlink_to("mine.html")
    lrsweep("report", "small", "--output", "link.html")
    assert Path("link.html").readlink() == Path("mine.html")
    assert Path("mine.html").read_text() == page_of(Path("results/small"))


@pytest.mark.parametrize(
    ("arguments", "link"),
    [
        (["--html"], "runs.csv"),
        (["--output", "mine.html"], "results/small/runs.csv"),
        (["--output", "results/mine.html"], "small/runs.csv"),
        (["--output", "else where/mine.html"], "../results/small/runs.csv"),
    ],
)
def test_a_page_is_told_where_the_runs_are_from_its_place(
    spec: Path, monkeypatch: pytest.MonkeyPatch, pages: list[str], arguments: list[str], link: str
) -> None:
    monkeypatch.setattr("lrsweep.report.page.page", lambda answer, provenance, text, runs_csv: runs_csv)
    lrsweep("run", "small.yaml")
    Path("else where").mkdir()
    lrsweep("report", "small", *arguments)
    [page] = Path().rglob("*.html")
    assert page.read_text() == link
    assert (page.parent / link).is_file()


def test_a_page_holds_only_as_long_as_its_runs_are_all(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml", "--html")
    page = Path("results/small/report.html")
    lrsweep("run", "small.yaml")
    assert page.exists()
    out, said = lrsweep("run", "small.yaml", "-o", "seeds=3")
    assert not page.exists()
    assert "report.html" not in out
    assert said.splitlines()[-1] == "Next: lrsweep report small --html --open"


def test_a_column_that_does_not_vary_is_refused_before_the_page_is_written(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml")
    _, said = lrsweep("report", "small", "--by", "nope", "--html", code=2)
    assert said.startswith("lrsweep: --by nope: does not vary")
    assert not Path("results/small/report.html").exists()


def test_a_page_needs_neither_provenance_nor_the_sweep_file(spec: Path, pages: list[str]) -> None:
    lrsweep("run", "small.yaml")
    for name in ("provenance.json", "spec.yaml"):
        Path("results/small", name).unlink()
    lrsweep("report", "small", "--html")
    assert Path("results/small/report.html").read_text() == "results/small "


@pytest.mark.parametrize("text", ['{"versions": ', "[]", "[1]", "null", "3", '"text"'])
def test_damaged_provenance_is_told(spec: Path, pages: list[str], text: str) -> None:
    lrsweep("run", "small.yaml")
    Path("results/small/provenance.json").write_text(text)
    _, said = lrsweep("report", "small", "--html", code=3)
    assert said == "lrsweep: results/small/provenance.json is damaged; remove it, and run writes it anew\n"


def test_the_page_itself(spec: Path) -> None:
    pytest.importorskip("plotly")
    lrsweep("run", "small.yaml", "--html")
    page = Path("results/small/report.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "small" in page


@pytest.mark.parametrize("what", ["datasets", "optimizers", "schedules"])
def test_lists_name_every_entry_with_its_source(what: str) -> None:
    rows = json.loads(lrsweep("list", what, "--json")[0])[what]
    out, _ = lrsweep("list", what)
    for row in rows:
        assert row["description"]
        assert row["source"]
        assert row["name"] in out


def test_drawings_name_every_schedule() -> None:
    names = [row["name"] for row in json.loads(lrsweep("list", "schedules", "--json")[0])["schedules"]]
    out, said = lrsweep("list", "schedules", "--draw")
    titles = " ".join(line for line in out.splitlines())
    assert all(name in titles for name in names)
    assert said == "Next: lrsweep init\n"


def test_drawings_are_numbers_as_json() -> None:
    document = json.loads(lrsweep("list", "schedules", "--draw", "--json")[0])
    drawings = document["drawings"]
    assert {drawing["schedule"] for drawing in drawings} == {row["name"] for row in document["schedules"]}
    assert all(len(drawing["factors"]) == len(drawing.get("loss", range(101))) for drawing in drawings)
    assert "drawings" not in json.loads(lrsweep("list", "schedules", "--json")[0])


@pytest.mark.parametrize("what", ["datasets", "optimizers"])
def test_only_schedules_are_drawn(what: str) -> None:
    _, said = lrsweep("list", what, "--draw", code=2)
    assert said == f"lrsweep: --draw is for schedules, not for {what}: lrsweep list schedules --draw\n"


WIDE = ("-o", "width=16,64,256", "-o", "learning_rate=0.01")


def test_coordcheck_fails_the_standard_parametrization_and_names_mup(spec: Path) -> None:
    out, said = lrsweep("coordcheck", "small.yaml", *WIDE, code=1)
    assert re.search(r"logits .* ▲ fails", out)
    assert "use parametrization: mup" in " ".join(out.split())
    assert said == (
        "Next: lrsweep coordcheck small.yaml -o width=16,64,256 -o learning_rate=0.01 -o parametrization=mup\n"
    )


def test_coordcheck_passes_mup_and_names_the_sweep(spec: Path) -> None:
    out, said = lrsweep("coordcheck", "small.yaml", *WIDE, "-o", "parametrization=mup", "-o", "seeds=10")
    assert "mup keeps activations the same size: largest slope" in out
    assert said.startswith("Next: lrsweep run small.yaml -o width=16,64,256")


def test_coordcheck_of_both_goes_on_with_the_one_that_passes(spec: Path) -> None:
    both = ("-o", "parametrization=[standard, mup]", "-o", "seeds=10")
    _, said = lrsweep("coordcheck", "small.yaml", *WIDE, *both, code=1)
    assert said.startswith("Next: lrsweep run small.yaml -o width=16,64,256")
    assert said.endswith("-o parametrization=mup\n")
    assert "standard" not in said


def test_coordcheck_of_a_mup_that_fails_goes_on_with_a_lower_rate(spec: Path) -> None:
    _, said = lrsweep("coordcheck", "small.yaml", "-o", "parametrization=mup", "--rate", "1e30", code=1)
    assert said == "Next: lrsweep coordcheck small.yaml -o parametrization=mup --rate 1e+29\n"


def test_coordcheck_goes_on_as_its_advice_says_with_the_options_that_it_was_given(spec: Path) -> None:
    given = ("-o", "parametrization=mup", "--steps", "2", "--rate", "1e-50")
    out, said = lrsweep("coordcheck", "small.yaml", *given, code=1)
    assert "raise the rate: --rate 1e-49" in " ".join(out.split())
    assert said == "Next: lrsweep coordcheck small.yaml -o parametrization=mup --steps 2 --rate 1e-49\n"


def test_coordcheck_of_a_file_that_grows_goes_on_with_what_works(spec: Path) -> None:
    grows = ("-o", "growth={at_epoch: 1, to_width: 512}")
    _, said = lrsweep("coordcheck", "small.yaml", *WIDE, *grows, "-o", "seeds=10", code=1)
    assert said.endswith("-o seeds=10 -o parametrization=mup -o growth=none\n")
    _, said = lrsweep(*shlex.split(said.removeprefix("Next: lrsweep ")))
    lrsweep("plan", *shlex.split(said.removeprefix("Next: lrsweep run ")))


def test_coordcheck_as_json(spec: Path) -> None:
    arguments = ("coordcheck", "small.yaml", *WIDE, "--steps", "2", "--rate", "0.1", "--json", "--quiet")
    out, said = lrsweep(*arguments, code=1)
    document = json.loads(out)
    [setting] = document["settings"]
    about = [document[key] for key in ("schema_version", "steps", "rate", "widths")]
    assert about == [1, 2, 0.1, [16, 64, 256]]
    assert [len(layer["slopes"]) for layer in setting["layers"]] == [2, 2]
    assert (setting["verdict"], said) == ("fails", "")


def test_coordcheck_as_json_has_null_where_there_is_no_number(spec: Path) -> None:
    document = json.loads(lrsweep("coordcheck", "small.yaml", *WIDE, "--rate", "1e30", "--json", code=1)[0])
    assert document["settings"][0]["layers"][1]["slope"] is None


def test_coordcheck_of_a_linear_model_has_nothing_to_check(spec: Path) -> None:
    out, _ = lrsweep("coordcheck", "small.yaml", "-o", "depth=0")
    assert "depth 0 has no hidden layer" in out


def test_the_schema_is_json() -> None:
    assert json.loads(lrsweep("schema")[0])["properties"]["learning_rate"]


# From outside


def test_plan_loads_neither_pandas_nor_scikit_learn(spec: Path) -> None:
    lrsweep("plan", "small.yaml")  # the first use of a dataset reads it through scikit-learn
    code = (
        "import sys; from lrsweep.cli import app\n"
        "try: app(['plan', 'small.yaml'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'pandas', 'sklearn', 'scipy', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
