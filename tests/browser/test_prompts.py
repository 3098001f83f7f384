"""The prompt lab in a browser: choose, change, preview, save, compare, tag, archive, take the link along."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener
from tests.browser.drafts import stored_draft

SHIPPED = "summarise-dialogue"


def prompt_lab(open_page: Opener, path: str = f"/prompts?template={SHIPPED}", **options: str) -> Page:
    page = open_page(path, **options)
    expect(page.locator("#prompts-filled [data-state=ready]")).to_have_count(1)
    return page


def box(page: Page, name: str) -> Locator:
    return page.locator(f"#prompts-{name}").locator("textarea, input").first


def filled(page: Page) -> Locator:
    return page.locator("#prompts-filled")


def choose(page: Page, menu: str, title: str) -> None:
    menu_box = box(page, menu)
    menu_box.click()
    menu_box.fill(title)
    page.keyboard.press("Enter")


def test_the_preview_follows_the_row_the_shots_and_the_template_good_or_bad(open_page: Opener) -> None:
    """A row of a dataset and one typed by hand fill the template, and what is wrong with it is one sentence."""
    page = prompt_lab(open_page)
    expect(filled(page).locator("span.shot")).to_have_count(2)
    expect(page.locator("#prompts-figures")).to_contain_text("2 of 2")
    expect(page.locator("#prompts-figures")).to_contain_text("1,024")
    box(page, "k").fill("60")
    expect(filled(page)).to_contain_text("of 60 shots fit into the 960 tokens")
    expect(filled(page).locator("span.left-out").first).to_be_visible()
    box(page, "k").fill("0")
    expect(filled(page).locator("span.shot")).to_have_count(0)
    box(page, "instruction").fill("Now: {{ input | upper }}")
    expect(filled(page)).to_contain_text("Now: ")
    choose(page, "rendering", "chat")
    expect(filled(page).locator(".turn.user")).to_have_count(1)

    box(page, "instruction").fill("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    expect(filled(page)).to_contain_text("was stopped; simplify it.")
    box(page, "instruction").fill("{{ input ")
    expect(filled(page)).to_contain_text("The instruction cannot be read at line 1")
    box(page, "instruction").fill("{{ nothing }}")
    expect(filled(page)).to_contain_text("The template asks for 'nothing', which the dataset does not have.")
    box(page, "instruction").fill("Good: {{ input }}")
    expect(filled(page)).to_contain_text("Good: ")

    choose(page, "source", "A row typed by hand")
    expect(filled(page)).to_contain_text("The soup was cold")
    box(page, "typed").fill("input: Ann: Hello.\nBen: Hi <b>you</b>.")
    expect(filled(page)).to_contain_text("Ann: Hello.")
    expect(filled(page)).to_contain_text("Ben: Hi <b>you</b>.")


def test_versions_are_kept_compared_tagged_and_linked(open_page: Opener) -> None:
    page = prompt_lab(open_page, "/prompts")
    page.locator("#prompts-new").click()
    expect(box(page, "name")).to_have_value("")
    box(page, "name").fill("browsed")
    box(page, "instruction").fill("First {{ input }}")
    box(page, "message").fill("as it began")
    page.locator("#prompts-save").click()
    versions = page.locator("#prompts-versions tbody tr")
    expect(versions).to_have_count(1)
    box(page, "instruction").fill("Second {{ input }}")
    expect(page.locator("#prompts-mark")).to_contain_text("Changed since browsed@1; not saved yet.")
    page.locator("#prompts-save").click()
    expect(versions).to_have_count(2)
    page.get_by_role("button", name="Difference from version 1").click()
    expect(page.locator("#prompts-difference .gone")).to_have_text("-First {{ input }}")
    expect(page.locator("#prompts-difference .added")).to_have_text("+Second {{ input }}")
    box(page, "tag").fill("best")
    page.locator("#prompts-tag-put").click()
    expect(versions.first.locator(".tag")).to_have_text("best")
    page.get_by_role("button", name="Open version 1").click()
    expect(box(page, "instruction")).to_have_value("First {{ input }}")
    expect(page).to_have_url(re.compile(r"\?template=browsed@1$"))
    other = prompt_lab(open_page, "/prompts?template=browsed@best")
    expect(box(other, "instruction")).to_have_value("Second {{ input }}")


def test_an_archived_template_comes_back(open_page: Opener) -> None:
    page = prompt_lab(open_page, "/prompts?template=story-rest")
    shelf = page.locator("#prompts-library button[data-name='story-rest']")
    page.locator("#prompts-copy").click()
    expect(box(page, "name")).to_have_value("story-rest-copy")
    copied = page.locator("#prompts-library button[data-name='story-rest-copy']")
    page.locator("#prompts-archive").click()
    expect(copied).to_have_count(0)
    page.locator("#prompts-restore").click()
    expect(copied).to_have_count(1)
    box(page, "search").fill("rest copy")
    expect(shelf).to_have_count(0)
    expect(copied).to_have_count(1)


def test_the_draft_outlives_a_reload(open_page: Opener) -> None:
    page = prompt_lab(open_page)
    with stored_draft(page):
        box(page, "instruction").fill("A draft {{ input }}")
        expect(filled(page)).to_contain_text("A draft")
    page.goto(page.url.split("?")[0])
    expect(box(page, "instruction")).to_have_value("A draft {{ input }}")
    expect(box(page, "name")).to_have_value(SHIPPED)


def test_a_filled_page_is_accessible_and_fits(open_page: Opener) -> None:
    page = prompt_lab(open_page)
    page.get_by_role("button", name="Difference from version 1").click()
    expect(page.locator("#prompts-difference")).to_contain_text("word for word")
    assert_accessible(page)
