"""The Align page with real workers: an example started by one click, and its completions read token by token."""

import re

from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener, form_filled
from tests.browser.test_finetune import field
from tests.browser.test_playground import choose


def open_tab(page: Page, name: str) -> None:
    button = page.get_by_role("tab", name=name, exact=True)
    button.click()
    expect(button).to_have_attribute("aria-selected", "true")


def test_an_example_is_started_and_its_rollouts_are_read_compared_and_drawn_again(open_page: Opener) -> None:
    page = open_page("/align")
    with form_filled(page):
        page.locator("#al-example-0").click()
    expect(page.locator("#al-dataset input")).to_have_value("starter-rude-requests@1")
    for name in ("max-steps", "per-device-batch-size", "num-generations"):
        field(page, f"al-{name}", "2")
    assert_accessible(page)
    page.locator("#al-start").click()
    expect(page.locator("#al-runs tr.picked")).to_contain_text("starter-seq2seq by GRPO")
    expect(page).to_have_url(re.compile(r"/align\?run=\d+$"))
    expect(page.locator("#al-detail h2 .state")).to_have_text("finished")
    expect(page.locator("#al-curves .js-plotly-plot")).to_be_visible()
    expect(page.locator("#al-runs tr.picked")).to_contain_text(" nats")
    assert_accessible(page)
    open_tab(page, "Rollouts")
    rows = page.locator("#al-list table[data-step='2'] tbody tr")
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Read completion 3").click()
    expect(rows.nth(3)).to_have_class("picked")
    expect(page.locator("#al-view .ro-card")).to_have_count(2)  # both completions of the prompt
    expect(page.locator("#al-view .ro-card.picked .rt").first).to_have_attribute("title", re.compile(r"KL .*advantage"))
    choose(page, "al-colour", "advantage")
    expect(page.locator("#al-view .ro-legend")).to_contain_text("Tokens by advantage")
    choose(page, "al-kind", "held-out prompts")
    expect(page.locator("#al-film li")).to_have_count(2)
    page.locator("#al-film").get_by_role("button", name="Step 0", exact=True).click()
    expect(page.locator("#al-view .ro-view")).to_have_attribute("data-step", "0")
    page.locator("#al-redraw").click()
    expect(page.locator("#al-redrawn")).to_contain_text("all ids are the same")
    assert_accessible(page)
