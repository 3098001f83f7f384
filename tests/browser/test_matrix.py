"""A matrix in a browser: started, left midway, found again in a second browser, a cell read, rated and promoted."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener, form_filled


def matrix_tab(open_page: Opener, path: str = "/prompts", **options: str) -> Page:
    page = open_page(path, **options)
    page.get_by_role("tab", name="Matrix").click()
    expect(page.locator("#mx-grid").locator(".empty-state, .matrix-head").first).to_be_visible()
    return page


def box(page: Page, name: str) -> Locator:
    return page.locator(f"#mx-{name}").locator("textarea, input").first


@pytest.fixture(scope="module")
def run() -> list[str]:
    """The address of the matrix that one of the tests has run."""
    return []


@pytest.fixture
def matrix(open_page: Opener, run: list[str]) -> str:
    """The address of a finished matrix, which the first test that asks for it starts on the page and leaves midway."""
    if not run:
        page = matrix_tab(open_page)
        with form_filled(page):
            page.locator("#mx-try button, button#mx-try").first.click()
        # Equal rows are kept once: another test may have imported the task under a name of its own.
        expect(box(page, "dataset")).to_have_value(re.compile(r"sentiment.*@\d+"))
        expect(box(page, "rows")).to_have_value("60")
        box(page, "rows").fill("21")  # one more than a page of predictions
        page.get_by_role("button", name="Estimate").click()
        expect(page.locator("#mx-cost")).to_contain_text("3 cells x 21 rows = 63 requests")
        page.get_by_role("button", name="Run matrix").click()
        expect(page.locator("#mx-grid button[data-cell]")).to_have_count(3)
        expect(page).to_have_url(re.compile(r"/prompts\?matrix=\d+$"))
        run.append("/prompts" + page.url.split("/prompts")[1])
        page.close()
    return run[0]


def with_cell(open_page: Opener, matrix: str, cell: int, **options: str) -> Page:
    """The finished matrix with the predictions of one of its cells."""
    page = open_page(matrix, **options)
    grid = page.locator("#mx-grid")
    expect(grid.locator("[data-status=finished]")).to_have_count(1)
    grid.locator("button[data-cell]").nth(cell).click()
    expect(page.locator("#mx-predictions li")).to_have_count(20)
    return page


def test_a_matrix_goes_on_without_its_tab_and_its_ratings_are_seen_by_whoever_has_the_address(
    open_page: Opener, matrix: str
) -> None:
    second = with_cell(open_page, matrix, 2)
    grid = second.locator("#mx-grid")
    expect(grid.locator("button[data-done='21'] b")).to_have_count(3)
    expect(grid).to_contain_text("n = 21")
    expect(second.locator("#mx-plot .js-plotly-plot")).to_be_visible()
    expect(second.locator("#mx-where")).to_contain_text("1 to 20 of 21 predictions of starter-causal · 4 shots")
    first = second.locator("#mx-predictions li").first
    first.get_by_role("button", name="Good").click()
    expect(first.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    first.get_by_role("textbox").fill("<i>as it should be</i>")
    first.get_by_role("textbox").press("Enter")
    first.locator("summary").click()
    expect(first.locator("pre")).to_contain_text("Label:")
    address = "/prompts" + second.url.split("/prompts")[1]

    third = open_page(address)
    expect(third.locator("#mx-grid button[aria-pressed=true]")).to_have_count(1)
    first = third.locator("#mx-predictions li").first
    expect(first.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    expect(first.get_by_role("textbox")).to_have_value("<i>as it should be</i>")
    third.locator("#mx-filter").get_by_text("Rated").click()
    expect(third.locator("#mx-predictions li")).to_have_count(1)


def test_a_cell_becomes_the_default_prompt_and_a_rerun_costs_nothing(open_page: Opener, matrix: str) -> None:
    page = with_cell(open_page, matrix, 2)
    page.get_by_role("button", name="Save as default prompt").click()
    expect(page.get_by_text("is the default prompt now")).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    expect(page.locator("#mx-grid")).to_contain_text("this run cost nothing")


def test_what_cannot_run_is_one_sentence(open_page: Opener) -> None:
    page = matrix_tab(open_page)
    with form_filled(page):
        page.locator("#mx-try button, button#mx-try").first.click()
    expect(box(page, "rows")).to_have_value("60")
    box(page, "shots").fill("0, many")
    page.get_by_role("button", name="Run matrix").click()
    expect(page.get_by_role("alert").first).to_contain_text("write whole numbers with commas between them")


def test_the_matrix_fits_and_can_be_read_by_all(open_page: Opener, matrix: str) -> None:
    assert_accessible(with_cell(open_page, matrix, 2, scheme="dark"))
