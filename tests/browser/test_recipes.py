"""Each recipe in a browser: from the file to the answer with its intervals, in five clicks at most."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.models import Source
from genai_lab.services import models
from genai_lab.services.models.converting import file_folder, sha256_of
from tests import recipe_files
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener
from tests.smollm2 import smollm2_gguf

MOST_CLICKS = 5
FLOWS = [
    pytest.param("SMS spam: which of 0, 1, 4, 8 shots?", "SMSSpamCollection", recipe_files.sms, 4, id="sms-spam"),
    pytest.param("Lab 1: summaries", "dialogsum.jsonl", recipe_files.dialogsum, 3, id="lab-1"),
    pytest.param("SST-2:", "train.tsv", recipe_files.sst2, 4, id="sst2", marks=pytest.mark.full),
    pytest.param("TREC:", "trec.jsonl", recipe_files.trec, 4, id="trec", marks=pytest.mark.full),
    pytest.param("Translation:", "m30k.jsonl", recipe_files.multi30k, 3, id="translation", marks=pytest.mark.full),
]


class Clicks:
    """Clicks and choices of a user, counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def click(self, target: Locator) -> None:
        target.click()
        self.count += 1

    def choose_file(self, path: Path) -> None:
        """The press that opens the dialogue, and the choice of the file in it."""
        with self.page.expect_file_chooser() as dialogue:
            self.click(self.page.locator("#rc-file").get_by_role("button").first)
        dialogue.value.set_files(path)
        self.count += 1


def open_recipe(clicks: Clicks, title: str) -> None:
    page = clicks.page
    clicks.click(page.get_by_role("navigation").get_by_text("Recipes", exact=True))
    page.locator("#rc-plan dl").wait_for()
    page.locator("main[data-filled]").wait_for()
    if page.locator("#rc-list li.selected").get_by_text(title).count() == 0:
        clicks.click(page.locator("#rc-list").get_by_role("link", name=re.compile(re.escape(title))))
        expect(page.locator("#rc-list li.selected")).to_contain_text(title)
        page.locator("main[data-filled]").wait_for()


@pytest.mark.parametrize(("title", "filename", "maker", "systems"), FLOWS)
def test_a_question_is_answered_in_five_clicks_from_the_file(
    open_page: Opener, tmp_path: Path, title: str, filename: str, maker: Callable[[Path], Path], systems: int
) -> None:
    page = open_page("/")
    clicks = Clicks(page)
    open_recipe(clicks, title)
    clicks.choose_file(maker(tmp_path / filename))
    expect(page.locator("#rc-recognised")).to_contain_text("input is")
    clicks.click(page.get_by_role("button", name="Run recipe"))
    answer = page.locator("#rc-answer .answer[data-status=finished]")
    expect(answer.locator("p.short")).not_to_be_empty()
    expect(answer.locator("tbody tr")).to_have_count(systems)
    expect(answer.locator("tbody tr td:nth-child(3)").first).to_have_text(re.compile(r"^\d+\.\d+ to \d+\.\d+$"))
    expect(answer.locator("p.verdict")).to_have_count(systems - 1)
    expect(page).to_have_url(re.compile(r"/recipes\?recipe=[\w-]+&run=\d+$"))
    assert clicks.count <= MOST_CLICKS
    assert_accessible(page)


@pytest.mark.full
def test_both_methods_are_trained_measured_and_asked_what_they_forgot(open_page: Opener, tmp_path: Path) -> None:
    page = open_page("/recipes?recipe=lab-2-tuning")
    Clicks(page).choose_file(recipe_files.dialogsum(tmp_path / "dev.jsonl"))
    expect(page.locator("#rc-recognised")).to_contain_text("input is")
    for name, value in (("rows", "4"), ("steps", "2")):
        page.locator(f"#rc-{name} input").fill(value)
    page.get_by_role("button", name="Run recipe").click()
    answer = page.locator("#rc-answer .answer[data-status=finished]")
    expect(answer.locator("tbody tr")).to_have_count(3, timeout=1_800_000)  # nine jobs one after the other
    expect(answer.locator("p.short")).to_contain_text("95 % interval")
    expect(answer.get_by_text(re.compile(r"figures of 2 suites"))).to_be_visible()
    expect(answer.get_by_role("link", name="What was forgotten")).to_be_visible()


@pytest.mark.full
def test_smollm2_is_asked_where_it_is_here(open_page: Opener, app_home: Path, tmp_path: Path) -> None:
    source = smollm2_gguf()
    lab = bootstrap.open_lab(Config(home=app_home))
    path = file_folder(lab, sha256_of(source)) / source.name
    path.parent.mkdir(parents=True)
    shutil.copyfile(source, path)
    models.add(lab, "smollm2", Source("gguf", str(path)))
    lab.close()
    page = open_page("/")
    clicks = Clicks(page)
    open_recipe(clicks, "SMS spam: which of 0, 1, 4, 8 shots?")
    clicks.choose_file(recipe_files.sms(tmp_path / "SMSSpamCollection"))
    expect(page.locator("#rc-recognised")).to_contain_text("input is")
    clicks.click(page.get_by_role("button", name="Run recipe"))
    answer = page.locator("#rc-answer .answer[data-status=finished]")
    expect(answer.locator("p.short")).to_contain_text(re.compile(r"smollm2 · \d shots? is best: accuracy 0\.\d+"))
    assert clicks.count <= MOST_CLICKS


def test_a_file_that_suits_no_recipe_is_one_sentence(open_page: Opener, tmp_path: Path) -> None:
    page = open_page("/recipes")
    path = tmp_path / "prices.csv"
    path.write_text("name,price\ntea,3\n")
    Clicks(page).choose_file(path)
    expect(page.get_by_role("alert").first).to_contain_text("is the data of no recipe")
    page.get_by_role("button", name="Run recipe").click()
    expect(page.get_by_role("alert").first).to_contain_text("is the data of no recipe")


def test_the_page_fits_a_phone_and_can_be_read_by_all(open_page: Opener) -> None:
    page = open_page("/recipes?recipe=lab-2-tuning", size="phone", scheme="dark")
    expect(page.locator("#rc-list li.selected")).to_contain_text("Lab 2")
    expect(page.locator("#rc-steps input")).to_have_value("30")
    assert_accessible(page)
