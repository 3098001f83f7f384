"""From a comparison to a reward model: a campaign, two annotators by keyboard, a killed server, figures, best of n."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.models import Source
from genai_lab.services import feedback, lineage, models
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import PATIENCE, form_filled, guard, wait_filled
from tests.browser.running_app import RunningApp
from tests.tiny import random_model

HOSTILE = r"${window.ran = 1} {{value}} `C:\new\xyz` <img src=x onerror='window.ran = 1'>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    home, folder = tmp_path_factory.mktemp("house"), random_model(tmp_path_factory.mktemp("models") / "tiny")
    lab = bootstrap.open_lab(Config(home=home, model_roots=(folder.parent,)))
    models.add(lab, "tiny", Source("local", str(folder)))
    options = (Option("one", "first"), Option("two", "second"), Option("three", "third"))
    ways = (((0,), (1,), (2,)), ((1,), (0,), (2,)))
    tasks = [RankingTask(f"p{n} {HOSTILE}", options, votes=(("Cy", ways[0]), ("Di", ways[n % 2]))) for n in range(6)]
    feedback.create(lab, CampaignPlan("voted", kind="ranking", overlap=2), tasks, ordered=True)
    lab.close()
    app = RunningApp(home, [folder.parent])
    yield app
    app.stop()


@pytest.fixture
def contexts(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Three browsers: the lead's and two annotators'."""
    three = [browser.new_context(viewport={"width": 1440, "height": 900}) for _ in range(3)]
    for context in three:
        context.set_default_timeout(PATIENCE)
    yield three
    for context in three:
        context.close()


def visit(context: BrowserContext, address: str) -> Page:
    """An annotator's page."""
    page = context.new_page()
    page.goto(address, wait_until="domcontentloaded")
    return page


def visit_lab(context: BrowserContext, address: str) -> Page:
    page = visit(context, address)
    guard(page)
    wait_filled(page)
    return page


def compared(house: RunningApp, page: Page) -> list[str]:
    """Numbers of the runs of a comparison, and of as many drawn through the API."""
    client = Client(house.url, verbose=False)
    runs = [
        client.predict(
            "tiny", f"Prompt {n // 4}", "", {"max_new_tokens": 8, "seed": n, "temperature": 1.5}, api_name="/generate"
        )["run"]
        for n in range(12)
    ]
    client.close()
    with form_filled(page):
        page.get_by_role("tab", name="Compare").click()
    page.locator("#cmp-prompt textarea").fill("Once upon a time")
    page.locator("#cmp-run").click()
    for panel in (1, 2):
        expect(page.locator(f"#cmp-{panel}-note")).to_contain_text("ended by")
    page.locator("#cmp-rank").click()
    box = page.locator("#fb-runs input, #fb-runs textarea").first
    expect(box).not_to_have_value("")
    return [*box.input_value().split(", "), *map(str, runs)]


def campaign(page: Page, runs: list[str]) -> dict[str, str]:
    """Makes and opens it; the two annotators' links."""
    page.locator("#fb-runs input, #fb-runs textarea").first.fill(", ".join(runs))
    page.locator("#fb-more > button").click()
    page.locator("#fb-new-name input, #fb-new-name textarea").first.fill("Stories <b>of</b> ours")
    page.locator("#fb-from-runs").click()
    expect(page.locator("#fb-heading h2")).to_contain_text("Stories <b>of</b> ours")
    box = page.locator("#fb-name input, #fb-name textarea").first
    box.fill("Ada, Bo")
    box.press("Enter")
    page.get_by_role("link", name="Open link of Bo").wait_for()
    page.locator("#fb-open").click()
    expect(page.locator("#fb-heading .state")).to_have_text("open")
    return {
        name: page.get_by_role("link", name=f"Open link of {name}").get_attribute("href") or ""
        for name in ("Ada", "Bo")
    }


def rank(page: Page, count: int, first: str = "1") -> None:
    """Answers so many cards by keyboard, each once it is there."""
    done = page.locator("#figures span").first
    expect(done).to_have_text(re.compile(r"^\d+ done$"))
    before = int(done.inner_text().split()[0])
    for number in range(before + 1, before + count + 1):
        expect(page.locator("#card")).to_be_visible()
        page.keyboard.press(first)
        page.keyboard.press("Enter")
        expect(done).to_have_text(f"{number} done")


def test_from_a_comparison_to_a_reward_model_that_picks_the_best_of_n(
    house: RunningApp, contexts: list[BrowserContext], tmp_path: Path
) -> None:
    lead = visit_lab(contexts[0], house.url)
    runs = compared(house, lead)
    links = campaign(lead, runs)
    ada, bo = (
        visit(context, house.url + links[name]) for context, name in zip(contexts[1:], ("Ada", "Bo"), strict=True)
    )
    for page in (ada, bo):
        expect(page.locator("#card")).to_be_visible()
        assert "tiny" not in page.content()
    rank(ada, 5)
    expect(ada.locator("#saving-text")).to_have_text("Saved")  # the answer to the last one brought cards in advance
    house.kill()
    rank(ada, 2)
    expect(ada.locator("#saving-text")).to_contain_text("Not saved yet")
    house.start()
    expect(ada.locator("#saving-text")).to_have_text("Saved")
    rank(ada, 3)
    rank(bo, 10, "2")
    expect(bo.locator("#saving-text")).to_have_text("Saved")

    lead.close()
    lead = visit_lab(contexts[0], f"{house.url}/feedback")
    people = lead.locator(".fb-people tbody")
    expect(people.locator("tr").nth(0)).to_contain_text("10")
    expect(people.locator("tr").nth(1)).to_contain_text("10")
    lead.get_by_role("tab", name="Agreement").click()
    expect(lead.locator("#fb-agreement")).to_contain_text("Krippendorff's alpha")
    expect(lead.locator("#fb-agreement tbody tr").first.locator("td").nth(2)).to_have_text("10")
    lead.get_by_role("tab", name="Leaderboard").click()
    expect(lead.locator("#fb-board")).to_contain_text("Bradley-Terry scores")
    model = learned(lead)
    best_of_n(house, contexts[0], model)
    exported(lead, tmp_path)
    walked(house, model)


def learned(lead: Page) -> str:
    """One click trains the reward model; its name once its report is there."""
    lead.get_by_role("tab", name="Export and reward model").click()
    expect(lead.locator("#fb-counts")).to_contain_text("20 pairs from 20 rankings")
    lead.locator("#fb-base input").click()
    lead.get_by_role("option", name="tiny", exact=True).click()
    lead.locator("#fb-train").click()
    lead.locator("#fb-begun a").click()
    expect(lead.locator("#ft-detail .state")).to_have_text("finished")
    expect(lead.locator("#ft-report")).to_contain_text("Baseline: longer completion wins")
    expect(lead.locator("#ft-report-plot .js-plotly-plot")).to_be_visible()
    name = lead.locator("#ft-detail h2").inner_text().removesuffix("finished").strip()
    lead.go_back()
    wait_filled(lead)
    return name


def best_of_n(house: RunningApp, context: BrowserContext, model: str) -> None:
    page = visit_lab(context, house.url)
    expect(page.locator("#pg-model input")).not_to_have_value("")
    page.locator("#pg-prompt textarea").fill("Once upon a time")
    page.get_by_role("tab", name="Best of n").click()
    expect(page.locator("#best-reward input")).to_have_value(model)
    page.locator("#best-run").click()
    expect(page.locator("#best-table")).to_contain_text("Best of 8")
    values = [float(text) for text in page.locator("#best-table tbody td:nth-child(2)").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    page.close()


def exported(lead: Page, tmp_path: Path) -> None:
    """Pairs as a file that `datasets` and TRL read."""
    from datasets import load_dataset
    from trl.data_utils import unpair_preference_dataset

    lead.locator("#fb-list").wait_for()
    lead.get_by_role("tab", name="Export and reward model").click()
    lead.locator("#fb-jsonl").click()
    with lead.expect_download() as download:
        lead.locator("#fb-file a").first.click()
    path = tmp_path / "pairs.jsonl"
    download.value.save_as(path)
    rows: Any = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.num_rows == 20
    assert {"prompt", "chosen", "rejected", "weight"} <= set(rows.column_names)
    both = unpair_preference_dataset(rows.select_columns(["prompt", "chosen", "rejected"]))
    assert sum(both["label"]) == 20


def walked(house: RunningApp, model: str) -> None:
    """From the reward model back to every ranking, annotator, prompt and seed."""
    lab = bootstrap.open_worker(Config(home=house.home))
    graph = lineage.walk(lab, model)
    lab.close()
    (node,) = graph.of("campaign")
    assert {context["annotator"] for context in node.detail["rankings"]} == {"Ada", "Bo"}
    assert len(node.detail["rankings"]) == 20
    assert all(context["prompt"] for context in node.detail["rankings"])
    assert {context.detail["seed"] for context in graph.of("generate run")} >= set(range(12))
    assert json.dumps(graph.as_dict())


def test_the_leads_page_has_no_serious_violation(house: RunningApp, contexts: list[BrowserContext]) -> None:
    page = visit_lab(contexts[0], f"{house.url}/feedback?campaign=1")
    page.locator(".fb-people").wait_for()
    assert_accessible(page)
    for tab in ("Agreement", "Leaderboard", "Items", "New campaign"):
        button = page.get_by_role("tab", name=tab, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-selected", "true")
        if tab == "Items":
            expect(page.locator("#fb-disputes")).to_contain_text(HOSTILE)  # as text, whatever it holds
        assert_accessible(page)
    assert page.evaluate("window.ran") is None
