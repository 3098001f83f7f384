"""A visitor of a demo: two answers stream side by side, consent comes before the vote, hostile text stays text."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.models import Source
from genai_lab.services import models
from genai_lab.services.feedback import demos
from tests.browser.accessibility import SIZES, assert_accessible
from tests.browser.conftest import PATIENCE
from tests.tiny import random_model

HOSTILE = "<img src=x onerror='window.ran = 1'><script>window.ran = 1</script>"


@pytest.fixture(scope="module")
def link(app_url: str, app_home: Path) -> str:
    """A demo of two small models in the running app, by way of its database."""
    lab = bootstrap.open_lab(Config(home=app_home, model_roots=(app_home / "models",)))
    for seed, name in enumerate(("shown", "beside")):
        models.add(lab, name, Source("local", str(random_model(app_home / "models" / name, seed=seed))))
    prompts, intro = ("Once upon a time", HOSTILE), "Ask; then say which is better."
    plan = demos.DemoPlan(
        "Which one do you prefer?",
        ("shown", "beside"),
        prompts,
        intro,
        {"max_new_tokens": 16},
        contact=HOSTILE,
        reveal=True,
        board=True,
    )
    demo = demos.create(lab, plan)
    lab.close()
    return app_url + demo.path


def test_a_visitor_asks_agrees_and_votes(browser: Browser, link: str) -> None:
    width, height = SIZES["phone"]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark")
    context.set_default_timeout(PATIENCE)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Which one do you prefer?")
    assert "shown" not in page.content()
    page.get_by_role("button", name="Once upon a time").click()
    expect(page.locator("#consent")).to_be_visible()
    assert page.locator("#text-0").inner_text() != page.locator("#text-1").inner_text()
    assert_accessible(page)
    page.get_by_role("button", name="No, thanks").click()
    expect(page.locator("#declined")).to_contain_text("Nothing of this is kept")
    page.locator("#rethink").click()
    assert "beside" not in page.locator("main").inner_text()
    page.get_by_role("button", name="A is better").click()
    expect(page.locator("#thanks")).to_contain_text("A was ")
    expect(page.locator("#board-rows tr")).to_have_count(2)
    assert_accessible(page)
    page.locator("#next").click()
    page.locator("#prompt").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.locator("#votes")).to_be_visible()
    expect(page.locator("#asked")).to_have_text(HOSTILE)
    assert_accessible(page)
    page.get_by_role("button", name="Both are bad").click()
    expect(page.locator("#thanks")).to_be_visible()
    page.goto(link)  # who comes again is known
    page.get_by_role("button", name="Once upon a time").click()
    expect(page.locator("#votes")).to_be_visible()
    assert page.evaluate("window.ran") is None
    context.close()
    assert faults == []


def test_a_vote_that_cannot_be_sent_is_sent_again_and_never_for_other_answers(browser: Browser, link: str) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Once upon a time").click()
    page.get_by_role("button", name="I agree").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if request.url.endswith("/vote") else None)
    context.route("**/vote", lambda route: route.abort())
    page.get_by_role("button", name="A is better").click()
    expect(page.locator("#problem")).to_have_text("Not saved yet; trying again.")
    page.get_by_role("button", name="Once upon a time").click()
    expect(page.locator("#votes")).to_be_visible()
    context.unroute("**/vote")
    page.get_by_role("button", name="B is better").click()
    expect(page.locator("#thanks")).to_be_visible()
    keys = {request.split('"key":"')[1][:32]: request for request in sent}
    assert len(keys) == 2
    assert ['"a"' in request for request in keys.values()] == [True, False]
    context.close()
