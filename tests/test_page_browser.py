"""The page in a real browser: it opens from a file, asks the network for nothing, and does what its reader wants."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from page_cases import MILLISECONDS, VALLEY, WORSE, answered, hostile, three_optimizers
from sweeps_made_up import rows

from lrsweep.report.page import page as write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium")

SPEC = "dataset: digits\noptimizer: [adam, sgd, lion]\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=MILLISECONDS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages that are opened."""
    folder = tmp_path_factory.mktemp("pages")
    many = [
        rows({rate: [0.1 * i + seed / 100 for seed in range(5)] for i, rate in enumerate((0.1, 0.2, 0.4), 1)}, width=w)
        for w in range(1, 21)
    ]
    datasets = [rows(of, dataset=name) for name, of in (("iris", VALLEY), ("wine", WORSE))]
    answers = {
        "usual": three_optimizers(),
        "hostile": hostile(),
        "many": answered(*many),
        "datasets": answered(*datasets),
    }
    found = {}
    for name, answer in answers.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(write(answer, {"cpu": "a processor"}, SPEC), encoding="utf-8")
    return found


class Visit:
    """A page that was opened, with all that it asked for and complained about."""

    def __init__(self, browser: Browser, path: Path, **how: Any) -> None:
        self.page: Page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **how})
        self.page.set_default_timeout(MILLISECONDS)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def cells(self, column: int) -> list[str]:
        """A column of the table of runs, as it is shown."""
        return self.page.locator(f"#runs tbody td:nth-child({column + 1})").all_inner_texts()

    def column(self, title: str) -> int:
        """Where a column of the table of runs stands."""
        return self.page.locator("#runs thead th").all_inner_texts().index(title)

    def until(self, condition: str) -> None:
        """Waits until something is so; the page's policy allows no waiting within it."""
        end = time.monotonic() + MILLISECONDS / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"never: {condition}"
            self.page.wait_for_timeout(50)

    def drawn(self, figure: str) -> int:
        """The lines of a figure, and whatever else is drawn in it."""
        return self.page.locator(f"#{figure} .scatterlayer .trace").count()


@pytest.fixture
def fresh(browser: Browser, files: dict[str, Path]) -> Iterator[Visit]:
    """An ordinary page, just opened."""
    visit = Visit(browser, files["usual"])
    yield visit
    visit.page.close()
    assert visit.complaints == []


@pytest.fixture(scope="module")
def usual(browser: Browser, files: dict[str, Path]) -> Iterator[Visit]:
    """The same page for all tests that leave it as they found it."""
    visit = Visit(browser, files["usual"])
    yield visit
    visit.page.close()
    assert visit.complaints == []


def test_it_opens_without_a_complaint_and_asks_for_nothing(usual: Visit, files: dict[str, Path]) -> None:
    outside = [url for url in usual.requests if not url.startswith("data:")]
    assert outside == [files["usual"].as_uri()]
    assert usual.page.locator(".canvas .main-svg").count() >= 2 * usual.page.locator("figure.plot").count()
    assert usual.complaints == []


def test_what_a_user_wrote_does_nothing(browser: Browser, files: dict[str, Path]) -> None:
    visit = Visit(browser, files["hostile"])
    visit.page.hover("#objective .canvas", position={"x": 300, "y": 250})
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [files["hostile"].as_uri()]
    assert visit.page.locator("img, a[href^=http]").count() == 0
    visit.page.close()


def test_a_legend_entry_switches_its_setting(usual: Visit) -> None:
    entry = usual.page.locator("#objective .legend button", has_text="sgd")
    before = usual.drawn("objective")
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert usual.drawn("objective") < before
    entry.press("Enter")
    assert entry.get_attribute("aria-pressed") == "true"
    assert usual.drawn("objective") == before


def test_a_long_legend_is_folded(browser: Browser, files: dict[str, Path]) -> None:
    visit = Visit(browser, files["many"])
    entries = visit.page.locator("#objective .legend button[aria-pressed]:visible")
    assert entries.count() == 8
    more = visit.page.locator("#objective .legend .more")
    assert more.inner_text() == "12 more"
    more.click()
    assert entries.count() == 20
    drawn = """[...document.querySelector('#objective .canvas').data].some(
        (trace) => trace.visible && trace.legendgroup === 's19')"""
    assert not visit.page.evaluate(drawn)
    entries.last.click()
    assert visit.page.evaluate(drawn)
    visit.page.close()


def test_a_mark_switches_its_layer(usual: Visit) -> None:
    before = usual.drawn("objective")
    layer = usual.page.locator("#objective .marks button", has_text="a seed")
    layer.click()
    assert usual.drawn("objective") == before - 3  # a trace of dots for each setting
    layer.click()
    assert usual.drawn("objective") == before


def test_hovering_names_the_run(usual: Visit) -> None:
    mark = usual.page.locator("#objective .scatterlayer .trace .points path").nth(4)
    mark.scroll_into_view_if_needed()
    dot = mark.bounding_box()
    assert dot
    usual.page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    told = usual.page.wait_for_selector("#objective .hoverlayer .hovertext")
    assert told
    assert re.search(r"(adam|sgd|lion) at [\d.]+", told.text_content() or "")


def test_choosing_a_setting_shows_its_curves_and_its_rates(fresh: Visit) -> None:
    fresh.page.select_option("#choose-setting", label="lion")
    assert "lion at 0.1" in fresh.page.inner_text("#curves h3")
    shown = fresh.page.locator("[data-part=setting]:visible")
    assert shown.count() == 1
    assert shown.locator("table").first.locator("tbody th").all_inner_texts() == ["0.001", "0.01", "0.1"]


def test_choosing_a_dataset_shows_its_figure(browser: Browser, files: dict[str, Path]) -> None:
    visit = Visit(browser, files["datasets"])
    assert "0.11" in visit.page.inner_text("#objective h3")
    visit.page.select_option("#choose-dataset", label="wine")
    assert "0.143" in visit.page.inner_text("#objective h3")
    visit.page.close()


def test_sorting_by_a_number_and_back(fresh: Visit) -> None:
    """Up, then down; runs without the number come last both times; ties to six digits stay in plan order."""
    runs = three_optimizers().runs.round({"val_loss": 6})
    at = fresh.column("val_loss")
    head = fresh.page.locator("#runs thead th").nth(at)
    for direction, ascending in (("ascending", True), ("descending", False)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        order = runs.sort_values("val_loss", ascending=ascending, kind="stable", na_position="last")
        assert fresh.cells(0) == order["run_id"].tolist()


def test_rates_sort_by_their_size(fresh: Visit) -> None:
    at = fresh.column("learning rate")
    fresh.page.locator("#runs thead th button").nth(at).click()
    order = three_optimizers().runs.sort_values("learning_rate", kind="stable")
    assert [float(cell) for cell in fresh.cells(at)] == order["learning_rate"].tolist()


def test_filtering_by_words_and_by_status(fresh: Visit) -> None:
    runs = three_optimizers().runs
    fresh.page.fill("#runs input", "sgd")
    assert fresh.cells(0) == runs.loc[runs["optimizer"] == "sgd", "run_id"].tolist()
    fresh.page.select_option("#runs select", "diverged")
    lost = runs[(runs["optimizer"] == "sgd") & (runs["status"] == "diverged")]
    assert fresh.cells(0) == lost["run_id"].tolist()
    assert fresh.page.inner_text("#runs output") == f"{len(lost)} of {len(runs)} runs"


def test_only_the_first_200_runs_are_shown(browser: Browser, files: dict[str, Path]) -> None:
    visit = Visit(browser, files["many"])
    assert len(visit.cells(0)) == 200
    assert visit.page.inner_text("#runs output") == "the first 200 of 300 runs"
    visit.page.fill("#runs input", "finished")
    assert visit.page.inner_text("#runs output") == "the first 200 of 300 runs"
    visit.page.fill("#runs input", "r2")
    assert visit.page.inner_text("#runs output") == "111 of 300 runs"  # r2, r20 to r29, r200 to r299
    visit.page.close()


def test_a_number_is_found_as_a_whole_and_only_in_what_was_set(fresh: Visit) -> None:
    """0.1 is a rate here, a part of other rates, and the loss of some runs."""
    runs = three_optimizers().runs
    fresh.page.fill("#runs input", "adam 0.1")
    wanted = runs[(runs["optimizer"] == "adam") & (runs["learning_rate"] == 0.1)]
    assert fresh.cells(0) == wanted["run_id"].tolist()


def test_what_has_no_reason_is_sorted_last(fresh: Visit) -> None:
    runs = three_optimizers().runs
    fresh.page.locator("#runs thead th button").nth(fresh.column("reason")).click()
    lost = runs[runs["reason"] != ""]["run_id"].tolist()
    assert fresh.cells(0)[: len(lost)] == lost


def test_settings_that_are_switched_on_later_have_rows_of_their_own(browser: Browser, files: dict[str, Path]) -> None:
    """Of 20 settings 8 are on; one more makes nine rows, without names; one fewer again eight, with names."""
    visit = Visit(browser, files["many"])
    rows = """[...document.querySelector('#objective .canvas').data].filter(
        (trace) => trace.visible && trace.yaxis === 'y3' && trace.mode === 'markers').map((trace) => trace.y[0])"""
    names = "document.querySelectorAll('#objective .textpoint').length"
    visit.page.click("#objective .legend .more")
    assert visit.page.evaluate(rows) == [-i - 0.5 for i in range(8)]
    before = visit.page.evaluate(names)
    entries = visit.page.locator("#objective .legend button[aria-pressed]")
    entries.nth(19).click()
    assert visit.page.evaluate(rows) == [-i - 0.5 for i in range(9)]
    assert visit.page.evaluate("document.querySelector('#objective .canvas').layout.yaxis3.range") == [-9, 0]
    assert visit.page.evaluate(names) == 0
    entries.nth(0).click()
    assert visit.page.evaluate(rows) == [-i - 0.5 for i in range(8)]
    assert visit.page.evaluate(names) == before
    visit.page.close()


def test_a_mark_is_told_of_while_something_has_it(fresh: Visit) -> None:
    """Of the three only lion has no lost seed."""
    mark = fresh.page.locator("#objective .marks > *", has_text="lost seeds")
    assert mark.is_visible()
    for name in ("adam", "sgd"):
        fresh.page.locator("#objective .legend button", has_text=name).click()
    assert not mark.is_visible()


def test_figures_are_drawn_anew_in_another_width(fresh: Visit) -> None:
    fresh.page.set_viewport_size({"width": 500, "height": 800})
    fresh.until("document.querySelector('#objective .main-svg').getBoundingClientRect().width < 500")


def test_light_and_dark_switch_while_it_is_open(usual: Visit) -> None:
    """The page and the figures, which have colours of their own."""

    ground = "getComputedStyle(document.body).backgroundColor"
    tick = "document.querySelector('#objective .xtick text').style.fill"
    light = [usual.page.evaluate(colour) for colour in (ground, tick)]
    assert light[0] == "rgb(255, 255, 255)"
    usual.page.emulate_media(color_scheme="dark")
    usual.until(f"{ground} !== '{light[0]}' && {tick} !== '{light[1]}'")
    usual.page.emulate_media(color_scheme="light")
    usual.until(f"{ground} === '{light[0]}' && {tick} === '{light[1]}'")


def test_it_prints_light_and_with_all_figures(browser: Browser, files: dict[str, Path]) -> None:
    visit = Visit(browser, files["usual"], color_scheme="dark")
    fill = "document.querySelector('#objective .xtick text').style.fill"
    dark = visit.page.evaluate(fill)
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert visit.page.evaluate(fill) != dark
    for wide in visit.page.locator(".main-svg, table").all():
        assert not wide.is_visible() or wide.bounding_box()["width"] <= 661  # type: ignore[index]
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    visit.page.close()


@pytest.mark.parametrize("width", [375, 320])
@pytest.mark.parametrize("name", ["usual", "hostile"])
def test_a_phone_scrolls_only_down(browser: Browser, files: dict[str, Path], name: str, width: int) -> None:
    visit = Visit(browser, files[name], viewport={"width": width, "height": 700})
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert visit.page.locator("#objective .main-svg").first.bounding_box()["width"] <= width  # type: ignore[index]
    assert visit.page.locator("#objective .xtick text").all_text_contents()[-1] == "10"
    visit.page.close()


def test_a_figure_is_saved_as_svg_with_its_title_and_legend(usual: Visit, tmp_path: Path) -> None:
    for name in ("objective", "curves"):
        with usual.page.expect_download() as download:
            usual.page.click(f"#{name} .save")
        assert download.value.suggested_filename == f"{name}.svg"
        download.value.save_as(tmp_path / "figure.svg")
        root = ElementTree.fromstring((tmp_path / "figure.svg").read_text(encoding="utf-8"))  # noqa: S314  our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        told = "".join(root.itertext())
        title = usual.page.inner_text(f"#{name} h3")
        assert title[:40] in told
        for entry in usual.page.locator(f"#{name} .legend button").all_inner_texts():
            assert entry.split(" ")[0] in told


def test_the_keyboard_walks_through_the_diagnosis(usual: Visit) -> None:
    cells = usual.page.locator(".grid tbody tr").first.locator("button")
    assert usual.page.locator(".grid button[tabindex='0']").count() == 1
    cells.first.focus()
    tip = usual.page.locator(".tip")
    assert tip.inner_text() == cells.first.get_attribute("aria-label")
    usual.page.keyboard.press("ArrowRight")
    assert tip.inner_text() == cells.nth(1).get_attribute("aria-label")
    assert usual.page.evaluate("document.activeElement.textContent") == cells.nth(1).inner_text()
    usual.page.keyboard.press("Escape")
    assert not tip.is_visible()
