"""The Fine-tune page with real workers: a soft prompt learned while nobody looks, and switched on in the playground."""

import re

from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener, form_filled
from tests.browser.test_playground import choose, completion, type_number


def field(page: Page, name: str, text: str) -> None:
    box = page.locator(f"#{name} input, #{name} textarea").first
    box.fill(text)
    box.press("Tab")


def prepared(page: Page, example: int, **values: str) -> None:
    """An example in the form, with other values for some fields."""
    with form_filled(page):
        page.locator(f"#ft-example-{example}").click()
    expect(page.locator("#ft-dataset input")).to_have_value("starter-qa@1")
    if page.locator("#ft-max-steps").is_hidden():
        page.locator("#ft-details > button").click()
    for name, text in values.items():
        field(page, f"ft-{name.replace('_', '-')}", text)


def test_a_soft_prompt_is_learned_behind_a_closed_tab_and_switched_on_in_the_playground(open_page: Opener) -> None:
    page = open_page("/finetune")
    prepared(page, 1, max_steps="600", per_device_batch_size="4", name="soft prompt")
    field(page, "ft-learning-rate", "5")  # far from its words within a few steps
    page.locator("#ft-more-settings > button").click()
    field(page, "ft-eval-steps", "4")
    field(page, "ft-validation-rows", "8")
    page.locator("#ft-start").click()
    expect(page.locator("#ft-runs tr.picked")).to_contain_text("soft prompt")
    run = page.url.rpartition("=")[2]
    page.close()
    page = open_page(f"/finetune?run={run}")
    expect(page.locator("#ft-samples thead th")).to_have_count(4)  # prompt, reference, the first and the last step
    expect(page.locator("#ft-runs tr.picked")).to_contain_text(" of 600")
    expect(page.locator("#ft-curves .js-plotly-plot")).to_be_visible()
    page.locator("#ft-cancel").click()
    expect(page.locator("#ft-confirm")).to_contain_text("Its checkpoints stay")
    expect(page.get_by_role("button", name="Keep running")).to_be_visible()
    page.locator("#ft-confirm-yes").click()
    state = page.locator("#ft-detail h2 .state")
    expect(state).to_have_text("cancelled")
    expect(page.locator("#ft-detail")).to_contain_text(
        re.compile(r"Cancelled at step \d+ of 600; best checkpoint: step")
    )
    page.locator("#ft-resume").click()
    expect(page.locator("#ft-detail")).to_contain_text("step")
    page.locator("#ft-cancel").click()
    page.locator("#ft-confirm-yes").click()
    expect(state).to_have_text("cancelled")
    page.locator("#ft-keep").click()
    link = page.locator("#ft-detail a.try")
    expect(link).to_contain_text("Try soft prompt")
    link.click()
    expect(page.locator("#pg-model input")).to_have_value("soft prompt")  # the page has been filled
    texts = [answered(page, name) for name in ("starter-seq2seq", "soft prompt", "starter-seq2seq")]
    assert texts[0] == texts[2] != texts[1]


def answered(page: Page, model: str) -> str:
    """What the model writes greedily, chosen in the playground's list."""
    greedy = page.locator("#pg-greedy input")
    greedy.check()
    choose(page, "pg-model", model)
    expect(greedy).not_to_be_checked()  # the model's own settings have come
    greedy.check()
    type_number(page, "pg-max-new-tokens", 40)
    page.locator("#pg-prompt textarea").fill(
        "Answer the question.\n\nTina lives here.\nQuestion: Where is Tina?\nAnswer:"
    )
    page.locator("#pg-run").click()
    expect(page.locator("#pg-note")).to_contain_text(f", {model}, ended by")  # the last run was another model's
    return completion(page)


def test_what_is_wrong_is_one_sentence_and_a_run_is_cloned_from_its_plan(open_page: Opener) -> None:
    page = open_page("/finetune")
    prepared(page, 0, max_steps="2", max_length="5000")
    page.locator("#ft-start").click()
    expect(page.locator("[role=alert]").first).to_contain_text("Max length is 5000")
    prepared(page, 0, max_steps="2", per_device_batch_size="2", name="cloned from")
    page.locator("#ft-more-settings > button").click()
    field(page, "ft-eval-steps", "2")
    field(page, "ft-validation-rows", "8")
    page.locator("#ft-look").click()
    expect(page.locator("#ft-first-batch .tok.trained").first).to_be_visible()
    page.locator("#ft-memory").click()
    expect(page.locator("#ft-plan")).to_contain_text("Fits into this machine")
    page.locator("#ft-yaml-shelf > button").click()
    page.locator("#ft-write").click()
    expect(page.locator("#ft-command textarea, #ft-command input").first).to_have_value(
        re.compile(r"^python -m genai_lab train --home \S+ --config plan.yaml --name 'cloned from' --wait --json$")
    )
    page.locator("#ft-start").click()
    expect(page.locator("#ft-detail h2 .state")).to_have_text("finished")
    page.locator("#ft-clone").click()
    expect(page.locator("#ft-max-steps input")).to_have_value("2")
    expect(page.locator("#ft-per-device-batch-size input").first).to_have_value("2")


def test_the_page_fits_and_is_accessible(open_page: Opener) -> None:
    page = open_page("/finetune")
    start = page.locator("#ft-start").bounding_box()
    assert start
    assert start["y"] < 900  # seen without scrolling
    prepared(page, 0)
    for tab in ("New", "Runs", "Studies"):
        button = page.get_by_role("tab", name=tab, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-selected", "true")
        assert_accessible(page)
