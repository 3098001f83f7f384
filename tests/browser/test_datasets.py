"""The datasets page in a browser: a table comes in, is read, profiled, taken along and put away."""

import json
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.services import datasets
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener

NAUGHTY = '<img src=x onerror="document.title=1">'


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file with 60 rows, whose first cell is markup and whose name is its own."""
    path = tmp_path / f"reviews-{uuid.uuid4().hex[:6]}.csv"
    rows = [f'"{NAUGHTY.replace(chr(34), chr(34) * 2)} {path.stem}",good']
    rows += [f"review number {n} of {path.stem},{'good' if n % 3 else 'bad'}" for n in range(1, 60)]
    path.write_text("review,label\n" + "\n".join(rows) + "\n")
    return path


def upload(page: Page, path: Path) -> None:
    page.locator("#ds-file input[type=file]").set_input_files(path)
    expect(page.locator("#ds-preview table")).to_be_visible()


def test_a_file_is_looked_at_mapped_split_imported_and_taken_along(open_page: Opener, table: Path) -> None:
    page = open_page("/datasets")
    expect(page.locator("#ds-table [data-ready]")).to_be_visible()
    upload(page, table)
    expect(page.locator("#ds-preview")).to_contain_text(NAUGHTY)
    expect(page.locator("#ds-role-input input")).to_have_value("review")
    expect(page.locator("#ds-role-label input")).to_have_value("label")
    expect(page.locator("#ds-name input, #ds-name textarea")).to_have_value(table.stem)
    expect(page.locator("#ds-by input")).to_have_value("By ratio")
    page.locator("#ds-import").click()
    name = f"{table.stem}@1"
    expect(page.locator(f"#ds-detail [data-ready='{name}']")).to_be_visible()
    expect(page.locator("#ds-detail")).to_contain_text("train 48, validation 6, test 6")
    for title, address in (
        ("Use in matrix", "/prompts?tab=matrix&"),
        ("Evaluate", "/evaluate?"),
        ("Fine-tune", "/finetune?"),
    ):
        link = page.locator("#ds-detail").get_by_role("link", name=f"{title}: {name}")
        assert (link.get_attribute("href") or "").startswith(f"{address}dataset={table.stem}")
    expect(page.locator("#ds-rows")).to_contain_text("Rows 1 to 20 of 60")
    expect(page.locator("#ds-rows tbody tr").first).to_contain_text(NAUGHTY)
    for button, rows in (("next", "21 to 40"), ("next", "41 to 60"), ("previous", "21 to 40")):
        page.locator(f"#ds-{button}").click()
        expect(page.locator("#ds-rows")).to_contain_text(f"Rows {rows} of 60")
    page.locator("#ds-split input").click()
    page.get_by_role("option", name="test", exact=True).click()
    expect(page.locator("#ds-rows")).to_contain_text("Rows 1 to 6 of 6")
    with page.expect_download() as download:
        page.locator("#ds-jsonl").click()
    rows = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert [row["_split"] for row in rows] == ["test"] * 6

    page.get_by_role("tab", name="Profile").click()
    expect(page.locator("#ds-profile")).to_contain_text("2 different labels")
    page.locator("#ds-profile-run").click()
    expect(page.locator("#ds-profile svg").first).to_be_visible()

    page.locator("#ds-again > button").click()
    page.locator("#ds-again-seed input").fill("5")
    page.locator("#ds-resplit").click()
    expect(page.locator(f"#ds-detail [data-ready='{table.stem}@2']")).to_be_visible()
    expect(page.locator("#ds-detail")).to_contain_text(f"{name} in other splits")

    page.locator("#ds-archive").click()
    expect(page.locator("#ds-detail")).to_contain_text("This dataset is archived")
    page.locator("#ds-restore").click()
    expect(page.locator("#ds-detail")).not_to_contain_text("This dataset is archived")

    again = open_page("/datasets")
    upload(again, table)
    expect(again.locator("#ds-preview")).to_contain_text(f"This file has already been imported as {name}")
    assert again.title() != "1"


def test_bad_rows_are_named_and_dropped_or_not(open_page: Opener, tmp_path: Path) -> None:
    page = open_page("/datasets")
    expect(page.locator("#ds-table [data-ready]")).to_be_visible()
    suffix = uuid.uuid4().hex[:6]
    page.get_by_role("tab", name="Paste").click()
    page.locator("#ds-text textarea").fill(f"text,label\nfine {suffix},a\nshort\ngood,b\n")
    page.locator("#ds-paste").click()
    expect(page.locator("#ds-preview table")).to_be_visible()
    page.locator("#ds-name input, #ds-name textarea").fill(f"pasted {suffix}")
    page.locator("#ds-import").click()
    expect(page.locator("#ds-bad")).to_contain_text("1 row cannot be read")
    expect(page.locator("#ds-bad tbody tr")).to_contain_text("the cell is missing")
    page.locator("#ds-stop").click()
    expect(page.locator("#ds-bad table")).to_have_count(0)
    expect(page.locator("#ds-table")).not_to_contain_text(suffix)
    page.locator("#ds-import").click()
    page.locator("#ds-drop").click()
    expect(page.locator("#ds-detail")).to_contain_text(f"pasted {suffix}@1")
    expect(page.locator("#ds-rows")).to_contain_text("Rows 1 to 2 of 2")


def test_what_cannot_be_read_is_one_sentence(open_page: Opener, tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000 + "]" * 100_000)
    page = open_page("/datasets")
    page.locator("#ds-file input[type=file]").set_input_files(path)
    expect(page.get_by_role("alert")).to_contain_text("levels deep")
    path = tmp_path / "column.csv"
    path.write_text("text\nfine\ngood\n")
    page = open_page("/datasets")
    page.locator("#ds-file input[type=file]").set_input_files(path)
    expect(page.locator("#ds-doubt")).to_contain_text("The file would become one column, called 'text'")
    page.get_by_role("button", name="Import as one column").click()
    expect(page.locator("#ds-preview tbody tr")).to_have_count(2)
    expect(page.locator("#ds-doubt")).to_be_empty()


def test_a_large_file_is_imported_by_a_job_that_outlives_the_tab(open_page: Opener, tmp_path: Path) -> None:
    path = tmp_path / f"large-{uuid.uuid4().hex[:6]}.csv"
    path.write_text("text,label\n" + "".join(f"{n} {'word ' * 40},x{n % 3}\n" for n in range(50_000)))
    page = open_page("/datasets")
    upload(page, path)
    page.locator("#ds-import").click()
    expect(page.get_by_text("you can leave this page")).to_be_visible()
    page.close()
    second = open_page("/datasets")
    expect(second.locator("#ds-table")).to_contain_text(f"{path.stem}@1")
    second.locator(f"#ds-table tr[data-name='{path.stem}@1'] button").click()
    expect(second.locator("#ds-rows")).to_contain_text("of 50,000")
    second.locator("#ds-goto input").fill("49990")
    second.locator("#ds-goto input").press("Enter")
    expect(second.locator("#ds-rows")).to_contain_text("Rows 49,990 to 50,000 of 50,000")


def test_a_starter_task_takes_two_presses(open_page: Opener) -> None:
    page = open_page("/datasets")
    page.get_by_role("tab", name="Starter task").click()
    page.locator("#ds-starter").click()
    page.locator("#ds-import").click()
    expect(page.locator("#ds-detail")).to_contain_text("train 2,000, validation 300, test 300")
    expect(page.locator("#ds-rows")).to_contain_text("Rows 1 to 20 of 2,600")


def test_the_page_is_usable_by_everybody(open_page: Opener, app_home: Path) -> None:
    lab = bootstrap.open_worker(Config(home=app_home))
    name = datasets.import_starter(lab, "story", seed=9, rows={"train": 30, "test": 10}).name
    lab.close()
    page = open_page(f"/datasets?dataset={name}")
    expect(page.locator("#ds-rows tbody tr").first).to_be_visible()
    page.get_by_role("tab", name="Starter task").click()
    page.locator("#ds-starter").click()
    expect(page.locator("#ds-preview table")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("tab", name="Profile").click()
    expect(page.locator("#ds-profile h3").first).to_be_visible()
    assert_accessible(page)
