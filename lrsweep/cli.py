"""The command line, a thin client: parse, call one function, print, exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lrsweep import __version__
from lrsweep.ending import orderly
from lrsweep.following import cluster_options, more_of, results_option, same_again
from lrsweep.live import View, tell
from lrsweep.vocabulary import MAX_RUNS, RETRIED, UsageError, json_text, plain, quoted

app = typer.Typer(
    name="lrsweep",
    help="Which learning rate should I use, and how sure can I be?",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The sweep file (YAML).", show_default=False)]
Results = Annotated[
    Path, typer.Option("--results", metavar="DIR", readable=False, help="Where the results folders are.")
]
Override = Annotated[
    list[str] | None,
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Replace a key of the sweep file.", show_default=False),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, max=256, help="Processes; 0 is this one. Default: the cores.", show_default=False),
]
MaxRuns = Annotated[int, typer.Option("--max-runs", min=1, help="Refuse sweeps with more runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


class Registry(StrEnum):
    """What `lrsweep list` can list."""

    datasets = "datasets"
    optimizers = "optimizers"
    schedules = "schedules"


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout; what its encoding has no signs for is escaped, as JSON does that."""
    text = json_text(document)
    if sys.stdout and not sys.stdout.encoding.lower().startswith("utf"):
        text = "".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in text)
    print(text, flush=True)  # before what is said next, which may go to the same place


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False
) -> None:
    """Which learning rate should I use, and how sure can I be?"""
    if version:
        print(f"lrsweep {__version__}")
        raise typer.Exit


@app.command()
@orderly
def init(
    file: Annotated[Path, typer.Argument(help="What to write.")] = Path("sweep.yaml"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a commented sweep file to start from."""
    from lrsweep.spec import template
    from lrsweep.store import write_new

    write_new(file, template(), "another place")
    tell(f"wrote {plain(str(file))}\nNext: lrsweep plan {quoted(str(file))}", quiet)


@app.command()
@orderly
def plan(
    spec: Spec,
    override: Override = None,
    results: Results = Path("results"),
    workers: Workers = None,
    max_runs: MaxRuns = MAX_RUNS,
    runs: Annotated[bool, typer.Option("--runs", help="List every run.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what `run` would do, and do nothing."""
    from lrsweep import sweep

    overrides, say = override or (), View(quiet).say
    preview = sweep.plan(spec, results=results, overrides=overrides, workers=workers, max_runs=max_runs, say=say)
    document = preview.document(list_runs=runs)
    if as_json:
        print_json(document)
    else:
        from lrsweep.report.preview import print_plan

        print_plan(document)
    if lost := sweep.said_of_views_alone(preview.folder):
        tell(lost, quiet)
    if preview.counts()["new"]:
        tell(f"Next: {same_again(spec, overrides, results, max_runs=max_runs)}", quiet)
    else:
        tell(f"Next: lrsweep report {preview.plan.spec.name}{results_option(results)}", quiet)


@app.command()
@orderly
def run(
    spec: Spec,
    override: Override = None,
    results: Results = Path("results"),
    workers: Workers = None,
    max_runs: MaxRuns = MAX_RUNS,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Train on Dask: its scheduler.", show_default=False),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew; the old folder becomes NAME.bak-N.")] = False,
    recover: Annotated[
        bool,
        typer.Option("--recover", help="Go on with what is whole in a damaged folder, kept as NAME.bak-N."),
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Train failed and crashed runs again.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first run that fails.")] = False,
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", min=0, metavar="SECONDS", help="Stop after so long.", show_default=False),
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="Write the page, report.html, as well.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train what is missing, and answer."""
    from lrsweep.early import held

    view = View(quiet)
    with held(spec, override or (), results) as hold:
        from lrsweep import sweep
        from lrsweep.result import check_plotly

        if html:
            check_plotly()
        try:
            result = sweep.run(
                spec,
                results=results,
                overrides=override or (),
                workers=workers,
                cluster=cluster,
                fresh=fresh,
                recover=recover,
                retry_failed=retry_failed,
                fail_fast=fail_fast,
                max_runs=max_runs,
                time_limit=time_limit,
                view=view,
                hold=hold,
            )
        finally:
            view.end()
    try:
        if html:
            show_page(result.answer, None, False, quiet)
    finally:  # what was trained for is told, whatever becomes of the page
        show(result.answer, as_json, seconds=result.seconds, trained=result.trained)
    if result.answer.counts["new"]:
        again = same_again(spec, override or (), results, options=cluster_options(cluster), max_runs=max_runs)
        tell(f"Next, for the runs that are left: {again}", quiet)
    elif any(result.answer.counts[status] for status in RETRIED):
        options = [*cluster_options(cluster), "--retry-failed"]
        again = same_again(spec, override or (), results, options=options, max_runs=max_runs)
        tell(f"Next, once what made them fail is mended: {again}", quiet)
    else:
        tell(f"Next: {more_of(result.answer, results, unopened=html)}", quiet)
    raise typer.Exit(result.exit_code)


@app.command()
@orderly
def report(
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SWEEP]...", help="Names, folders or sweep files.", show_default=False),
    ] = None,
    results: Results = Path("results"),
    by: Annotated[
        str | None, typer.Option("--by", metavar="KEY", help="The best setting for each value of KEY.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Only the N best settings.")] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Every rate of every setting, and stale runs.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Write the page, report.html, into the results folder.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write the page to FILE instead.", show_default=False),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Write the page, and show it in the browser.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Answer again, from the results alone. Without a name: the newest sweep."""
    from lrsweep import sweep
    from lrsweep.result import check_output, check_plotly

    if as_json and (by or top or show_all):
        raise UsageError("--by, --top and --all shape the printed summary; --json has everything, leave them out")
    if output and len(sweeps or ()) > 1:
        raise UsageError("--output names one page; name one sweep, or leave it out: each page goes into its own folder")
    if output:
        check_output(output)
    if html or output or open_:
        check_plotly()
    answers = [sweep.report(name, results=results, stale=show_all, say=View(quiet).say) for name in sweeps or (None,)]
    if by:
        check_by(answers, by)
    if html or output or open_:
        for answer in answers:
            show_page(answer, output, open_, quiet)
    if as_json and len(answers) > 1:
        print_json({"schema_version": 1, "sweeps": [answer.document() for answer in answers]})
    else:
        for answer in answers:
            show(answer, as_json, by=by, top=top, show_all=show_all)
    last, about = answers[-1], answers[-1].about
    if new := last.counts["new"]:
        most = last.counts["done"] + new
        again = same_again(about["spec_path"], about["overrides"], results, max_runs=most)
        tell(f"Next: {again}", quiet)
    elif more := more_of(last, results, unopened=html and not (open_ or output), known=show_all):
        tell(f"Next: {more}", quiet)


@app.command()
@orderly
def find(
    spec: Spec,
    override: Override = None,
    low: Annotated[float, typer.Option("--low", metavar="RATE", help="Where the rate starts.")] = 1e-7,
    high: Annotated[float, typer.Option("--high", metavar="RATE", help="Where it ends.")] = 10.0,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Steps from the one to the other.")] = 100,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", help="So many seeds. Default: the file's.", show_default=False)
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="A range for each group of layers as well.")] = False,
    no_confirm: Annotated[bool, typer.Option("--no-confirm", help="Without the short runs that confirm it.")] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="Write a sweep file with the grid.", show_default=False),
    ] = None,
    results: Results = Path("results"),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=0, max=256, help="Processes for the short runs. Default: as pays.", show_default=False
        ),
    ] = None,
    max_runs: MaxRuns = MAX_RUNS,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find a usable interval of rates for each setting, and how far to trust it."""
    from lrsweep import finding
    from lrsweep.report.progress import progress

    with progress(0, quiet, f"{spec}  ramps, and short runs that confirm them") as update:
        found = finding.find(
            spec,
            results=results,
            overrides=override or (),
            low=low,
            high=high,
            steps=steps,
            seeds=seeds,
            layers=layers,
            confirm=not no_confirm,
            write=write,
            workers=workers,
            max_runs=max_runs,
            watch=lambda done, total: update(done, total, "", 0),
        )
    if as_json:
        print_json(found.document())
    else:
        from lrsweep.report.ranges import print_ranges

        print_ranges(found.findings, found.about)
    for line in found.proposal.notes(write):
        tell(line, quiet)
    if follows := found.proposal.following():
        command_line = same_again(follows.file, follows.overrides, results, follows.command, follows.options, max_runs)
        tell(f"Next: {command_line}", quiet)


@app.command()
@orderly
def coordcheck(
    spec: Spec,
    override: Override = None,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Steps to train.")] = 3,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="The rate. Default: the middle one of the file's.", show_default=False),
    ] = None,
    max_runs: MaxRuns = MAX_RUNS,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check that activations keep their size across widths; exit 1 where a layer's do not."""
    from lrsweep.coordcheck import Finding, check, document, exit_code, following
    from lrsweep.report.coordinates import print_finding, print_legend

    findings: list[Finding] = []
    for finding in check(spec, overrides=override or (), steps=steps, rate=rate, max_runs=max_runs):
        if not as_json and not findings:
            print_legend(steps)
        findings.append(finding)
        if not as_json:
            print_finding(finding)
    if as_json:
        print_json(document(findings, steps))
    next_command, overrides, options = following(findings, override or (), steps, rate)
    again = same_again(spec, overrides, command=next_command, options=options, max_runs=max_runs)
    tell(f"Next: {again}", quiet)
    raise typer.Exit(exit_code(findings))


@app.command(name="list")
@orderly
def list_(
    what: Annotated[Registry, typer.Argument(help="What to list.", show_default=False)],
    draw: Annotated[bool, typer.Option("--draw", help="Draw the schedules.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List datasets, optimizers or schedules, with defaults and sources."""
    from lrsweep import catalogue

    if draw and what is not Registry.schedules:
        raise UsageError(f"--draw is for schedules, not for {what.value}: lrsweep list schedules --draw")
    rows = catalogue.entries(what.value)
    drawings = list(catalogue.drawings()) if draw else []
    if as_json:
        print_json({"schema_version": 1, what.value: rows} | ({"drawings": drawings} if draw else {}))
    else:
        from lrsweep.report.listing import print_drawings, print_rows

        if draw:
            print_drawings(drawings, rows)
        else:
            print_rows(rows)
    tell("Next: lrsweep init", quiet)


@app.command()
@orderly
def schema(quiet: Quiet = False, debug: Debug = False) -> None:
    """Print the JSON Schema of the sweep file."""
    from lrsweep.spec import json_schema

    print_json(json_schema())
    tell("Next: lrsweep init", quiet)


def check_by(answers: Sequence[Any], by: str) -> None:
    """Raises UsageError where `--by` names no column that varies, before a page is written."""
    from lrsweep.report.terminal import chosen

    for answer in answers:
        chosen(answer, by)


def show_page(answer: Any, output: Path | None, in_browser: bool, quiet: bool) -> None:
    """Writes an answer's page, says where, and shows it if that is wanted and there is a browser."""
    from lrsweep.result import write_page

    path = write_page(answer, output)
    tell(f"Page: {plain(str(path))}", quiet)
    if in_browser:
        import webbrowser

        if not webbrowser.open(path.absolute().as_uri()):
            tell(f"no browser to show it here; open {plain(str(path.absolute()))} in one")


def show(answer: Any, as_json: bool, **how: Any) -> None:
    """The answer on stdout: for people, or as JSON."""
    if as_json:
        print_json(answer.document())
    else:
        from lrsweep.report.printer import stdout
        from lrsweep.report.terminal import print_summary

        print_summary(answer, stdout(), **how)
