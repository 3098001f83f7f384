"""The playground in a browser: streaming, its tokens, its microscope, comparing, sharing; and its public calls."""

import re

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from genai_lab.starter.examples import examples
from tests.browser.accessibility import assert_accessible, settle
from tests.browser.conftest import TINY_MODEL as NAME
from tests.browser.conftest import Opener, form_filled
from tests.browser.drafts import stored_draft
from tests.browser.slow import SLOW
from tests.waiting import until

PROMPT = "Once upon a time"
pytestmark = pytest.mark.usefixtures("tiny_model")


def status(page: Page) -> Locator:
    return page.locator("#pg-stats")


def playground(open_page: Opener, path: str = f"/?model={NAME}") -> Page:
    page = open_page(path)
    expect(page.locator("#pg-model input")).to_have_value(NAME)
    return page


def type_number(page: Page, name: str, value: float) -> None:
    box = page.locator(f"#{name} input[type=number]")
    box.fill(str(value))
    box.press("Tab")


def choose(page: Page, menu: str, name: str) -> None:
    box = page.locator(f"#{menu} input")
    box.click()
    box.fill(name)
    page.keyboard.press("Enter")
    expect(box).to_have_value(name)


def generated(page: Page, tokens: int = 24, prompt: str = PROMPT) -> str:
    """Streams a completion to its end; returns its text."""
    type_number(page, "pg-max-new-tokens", tokens)
    page.locator("#pg-prompt textarea").fill(prompt)
    page.locator("#pg-run").click()
    ended(page)
    expect(status(page)).to_contain_text("finished")
    return completion(page)


def completion(page: Page, panel: str = "pg-tokens") -> str:
    """The text of an ended run, once it is drawn."""
    settle(page)
    return "".join(page.locator(f"#{panel} .tm [data-n]").all_text_contents())


def ended(page: Page, after: int = 0) -> int:
    """Waits until the page shows the end of a run that is not `after`; its number."""
    note = page.locator("#pg-note")
    expect(note).not_to_contain_text(f"Run {after},")
    expect(note).to_contain_text(re.compile(r"Run \d+, .+, ended by"))
    match = re.search(r"Run (\d+)", note.inner_text())
    assert match
    return int(match[1])


def test_a_stream_is_stopped_and_goes_on(open_page: Opener) -> None:
    page = playground(open_page)
    type_number(page, "pg-max-new-tokens", 450)
    type_number(page, "pg-temperature", 1.5)
    page.locator("#pg-prompt textarea").fill(SLOW + PROMPT)
    page.locator("#pg-run").click()
    expect(page.locator("#pg-tokens .tm [data-n]").nth(1)).to_be_visible()
    page.locator("#pg-stop").click()
    expect(status(page)).to_contain_text("cancelled")
    stopped = completion(page)
    assert stopped
    page.locator("#pg-continue").click()
    expect(page.locator("#pg-tokens .before")).to_have_text(stopped)
    expect(status(page)).not_to_contain_text("cancelled")
    page.locator("#pg-stop").click()
    expect(status(page)).to_contain_text("cancelled")


def test_a_branch_takes_the_alternative_and_goes_on(open_page: Opener) -> None:
    page = playground(open_page)
    generated(page)
    first = ended(page)
    token = page.locator("#pg-tokens [data-n='4']")
    token.focus()
    before = "".join(page.locator("#pg-tokens .tm [data-n]").all_text_contents()[:4])
    other = page.locator("#pg-tokens .tm-tip button:not(.taken)").first
    other.click()
    assert ended(page, after=first) > first
    expect(page.locator("#pg-tokens .before")).to_have_text(re.compile(rf"^\s*{re.escape(before.strip())}"))


def test_the_microscope_follows_a_slider_and_is_accessible(open_page: Opener) -> None:
    page = playground(open_page)
    generated(page)
    chart = page.locator("#pg-microscope")
    page.locator("#pg-tokens [data-n='3']").click()
    expect(chart).to_contain_text("before any filter")
    assert_accessible(page)
    for k in (3, 5, 7):
        box = page.locator("#pg-top-k input[type=number]")
        before = chart.inner_text()
        box.fill(str(k))
        page.wait_for_function(
            "seen => document.querySelector('#pg-microscope').innerText !== seen", arg=before, polling=10
        )
    expect(chart).to_contain_text("top-k")


def test_two_settings_are_compared(open_page: Opener) -> None:
    page = playground(open_page)
    with form_filled(page):
        page.get_by_role("tab", name="Compare").click()
    page.locator("#cmp-prompt textarea").fill(PROMPT)
    for panel in (1, 2):
        choose(page, f"cmp-{panel}-model", NAME)
        type_number(page, f"cmp-{panel}-max-new-tokens", 12)
    page.locator("#cmp-2-greedy input").check()
    expect(page.locator("#cmp-2-greedy")).to_have_attribute("data-differs", "")
    expect(page.locator("#cmp-2-top-p")).not_to_have_attribute("data-differs", "")
    page.locator("#cmp-run").click()
    for panel in (1, 2):
        expect(page.locator(f"#cmp-{panel}-note")).to_contain_text("ended by")
        assert completion(page, f"cmp-{panel}-tokens")
    expect(page.locator("#cmp-2-note mark")).to_contain_text("greedy True")
    seeds = [re.search(r"seed (\d+)", page.locator(f"#cmp-{panel}-note").inner_text()) for panel in (1, 2)]
    assert seeds[0]
    assert seeds[1]
    assert seeds[0][1] == seeds[1][1]


def test_two_browsers_stream_in_one_batch(open_page: Opener) -> None:
    pages = [playground(open_page), playground(open_page)]
    for page in pages:  # both go on until they are stopped
        type_number(page, "pg-max-new-tokens", 450)
        page.locator("#pg-prompt textarea").fill(SLOW + PROMPT)
        page.locator("#pg-run").click()
    for page in pages:
        expect(page.locator("#pg-tokens .tm [data-n]").nth(1)).to_be_visible()
    for page in pages:
        page.locator("#pg-stop").click()
        expect(status(page)).to_contain_text("cancelled")
    models = open_page(f"/models?model={NAME}")
    expect(models.locator("#models-detail")).to_contain_text(re.compile("at most [2-9] rows at once"))


def test_a_link_restores_the_run_and_replay_repeats_it(open_page: Opener) -> None:
    page = playground(open_page)
    type_number(page, "pg-temperature", 1.3)
    text = generated(page)
    run_id = ended(page)
    again = playground(open_page, f"/?run={run_id}")
    expect(again.locator("#pg-prompt textarea")).to_have_value(PROMPT)
    expect(again.locator("#pg-temperature input[type=number]")).to_have_value("1.3")
    expect(again.locator("#pg-note")).to_contain_text(f"Run {run_id},")
    assert completion(again) == text
    again.locator("#pg-replay").click()
    ended(again, after=run_id)
    assert completion(again) == text


def test_every_example_works_at_once(open_page: Opener) -> None:
    page = open_page("/")
    expect(page.locator("#pg-model input")).not_to_have_value("")
    expect(page.locator("#pg-examples button")).to_have_count(len(examples()))
    run = 0
    for example in examples():
        if example.mode != "chat" and page.locator("#pg-mode input[value='chat']:checked").count():
            page.locator("#pg-mode").get_by_text("completion").click()  # in chat the chips are messages alone
        page.locator("#pg-examples").get_by_role("button", name=example.title, exact=True).click()
        expect(page.locator("#pg-prompt textarea")).to_have_value(example.prompt)
        expect(page.locator(f"#pg-mode input[value='{example.mode}']")).to_be_checked()
        page.locator("#pg-run").click()
        run = ended(page, after=run)
        expect(page.locator("#pg-note")).to_contain_text(f"{example.model}, ended by")
        written = page.locator("#pg-tokens .tm [data-n]").filter(has_text=re.compile(r"\S"))
        expect(written.first).to_be_visible()  # the very first may be a line break


def test_a_conversation_goes_on_and_its_link_brings_it_back(open_page: Opener) -> None:
    page = open_page("/?model=starter-causal")
    page.locator("#pg-mode").get_by_text("chat").click()
    page.locator("#pg-system textarea").fill("Be kind.")
    box = page.locator("#pg-prompt textarea")
    expect(page.locator("#pg-run")).to_have_text("Send")
    run = 0
    for message in ("Can you help me?", "And <b>tomorrow</b>?"):
        box.fill(message[:3])
        box.press("Shift+Enter")
        box.press_sequentially(message[3:])
        expect(box).to_have_value(f"{message[:3]}\n{message[3:]}")
        box.fill(message)
        box.press("Enter")
        expect(page.locator("#pg-talk")).to_contain_text(message)
        expect(box).to_have_value("")
        run = ended(page, after=run)
        expect(status(page)).to_contain_text("finished")
    turns = page.locator("#pg-talk li")
    expect(turns).to_have_count(3)
    turns_text, answer = turns.all_inner_texts(), completion(page)
    places = [page.locator(example).bounding_box() for example in ("#pg-talk", "#pg-tokens", "#pg-prompt", "#pg-run")]
    tops = [example["y"] for example in places if example]
    assert tops == sorted(tops)
    assert_accessible(page)
    expect(page).to_have_url(re.compile(rf"/\?run={run}$"))
    page.reload()
    expect(page.locator("#pg-talk li")).to_have_count(3)
    assert ended(page) == run
    assert completion(page) == answer
    again = open_page(f"/?run={run}")
    expect(again.locator("#pg-talk li")).to_have_count(3)
    assert ended(again) == run
    assert again.locator("#pg-talk li").all_inner_texts() == turns_text
    assert completion(again) == answer
    expect(again.locator("#pg-system textarea")).to_have_value("Be kind.")
    again.locator("#pg-back").click()
    expect(again.locator("#pg-prompt textarea")).to_have_value("And <b>tomorrow</b>?")
    expect(again.locator("#pg-talk li")).to_have_count(2)


def test_two_models_are_compared_and_the_comparison_has_a_link(open_page: Opener) -> None:
    page = open_page("/")
    with form_filled(page):
        page.get_by_role("tab", name="Compare").click()
    choose(page, "cmp-2-model", "starter-seq2seq")
    page.locator("#cmp-prompt textarea").fill(PROMPT)
    page.locator("#cmp-run").click()
    for panel in (1, 2):
        expect(page.locator(f"#cmp-{panel}-note")).to_contain_text("ended by")
    texts = [completion(page, f"cmp-{panel}-tokens") for panel in (1, 2)]
    assert texts[0] != texts[1]
    assert_accessible(page)
    history = open_page("/history")
    again = open_page(str(history.locator("a[href*='group=']").first.get_attribute("href")))
    expect(again.locator("#cmp-2-model input")).to_have_value("starter-seq2seq")
    expect(again.locator("#cmp-prompt textarea")).to_have_value(PROMPT)
    expect(again.locator("#cmp-2-note")).to_contain_text("model starter-seq2seq")
    assert [completion(again, f"cmp-{panel}-tokens") for panel in (1, 2)] == texts


def test_the_draft_outlives_a_reload_and_another_page(open_page: Opener) -> None:
    page = playground(open_page)
    with stored_draft(page):
        page.locator("#pg-prompt textarea").fill("A draft of mine")
    with stored_draft(page):
        type_number(page, "pg-temperature", 1.1)
    page.reload()
    expect(page.locator("#pg-prompt textarea")).to_have_value("A draft of mine")
    page.get_by_role("navigation").get_by_text("Models", exact=True).click()
    expect(page.locator(".page-head h1")).to_have_text("Models")
    page.get_by_role("navigation").get_by_text("Playground", exact=True).click()
    expect(page.locator("#pg-prompt textarea")).to_have_value("A draft of mine")
    expect(page.locator("#pg-temperature input[type=number]")).to_have_value("1.1")


def bottom_of(item: Locator) -> float:
    box = item.bounding_box()
    assert box
    return box["y"] + box["height"]


def test_on_a_phone_the_alternatives_hide_nothing_that_was_touched(open_page: Opener) -> None:
    page = open_page(f"/?model={NAME}", size="phone")
    expect(page.locator("#pg-model input")).to_have_value(NAME)
    generated(page)
    token, tip = page.locator("#pg-tokens [data-n='20']"), page.locator("#pg-tokens .tm-tip")
    token.evaluate("node => scrollBy({top: node.getBoundingClientRect().bottom - innerHeight + 20})")
    token.click()
    expect(tip).to_be_visible()
    until(lambda: bottom_of(token) <= (tip.bounding_box() or {"y": 0})["y"])  # once the page has been scrolled
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    token.click()
    expect(tip).to_be_visible()
    page.locator("#pg-note").click()
    expect(tip).to_be_hidden()


def test_an_empty_prompt_is_one_sentence(open_page: Opener) -> None:
    page = playground(open_page)
    page.locator("#pg-prompt textarea").fill("")
    page.locator("#pg-run").click()
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("The prompt is empty; type something or choose an example.")


def test_a_call_without_values_names_them(app_url: str) -> None:
    answer = httpx.post(f"{app_url}/gradio_api/run/generate", json={"data": []}).json()
    message = "generate takes 4 values (model, prompt, mode, settings), but data holds 0; send them all in this order."
    assert answer["error"] == message


def test_programs_call_generate_and_list_models(app_url: str) -> None:
    from gradio_client import Client

    client = Client(app_url, verbose=False)
    try:
        assert NAME in [model["name"] for model in client.predict(api_name="/list_models")]
        settings = {"max_new_tokens": 5, "seed": 3, "temperature": 1.2}
        calls = [client.predict(NAME, PROMPT, "", settings, api_name="/generate") for _ in range(2)]
        assert calls[0]["seed"] == 3
        assert calls[0]["completions"][0]["completion_tokens"] == 5
        assert calls[0]["completions"][0]["text"] == calls[1]["completions"][0]["text"]
        described = client.view_api(return_format="dict")["named_endpoints"]
        assert {"/generate", "/list_models"} == set(described)
    finally:
        client.close()


HOLD_ANSWERS = """() => {
  const fetch = window.fetch;
  const gate = new Promise(open => { window.releaseAnswers = () => { window.fetch = fetch; open(); }; });
  window.fetch = async (...request) => {
    const answer = await fetch(...request);
    if (String(request[0]?.url ?? request[0]).includes('/run/')) await gate;
    return answer;
  };
}"""


def test_settings_that_arrive_late_leave_what_was_changed_meanwhile(open_page: Opener) -> None:
    page = playground(open_page)
    type_number(page, "pg-top-k", 40)
    page.evaluate(HOLD_ANSWERS)
    choose(page, "pg-model", "starter-seq2seq")
    type_number(page, "pg-temperature", 1.37)
    page.evaluate("window.releaseAnswers()")
    expect(page.locator("#pg-top-k input[type=number]")).to_have_value("0")
    expect(page.locator("#pg-temperature input[type=number]")).to_have_value("1.37")
    expect(page.locator("#pg-origin")).to_contain_text("Settings: custom.")
