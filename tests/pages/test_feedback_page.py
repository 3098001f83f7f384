"""The feedback page without a browser: starting campaigns and demos, and every panel; values and updates by name."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import feedback, models
from genai_lab.services.feedback import demos, fresh, links, warming
from pages.components.confirm import Confirm
from pages.components.forms import Form
from pages.components.selection import Selection
from pages.feedback import demo, items, new, new_fields, outcome, page, progress, results


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    lab = bootstrap.open_lab(Config(home=tmp_path_factory.mktemp("home")))
    yield lab
    lab.close()


def event(**fields: Any) -> Any:
    return SimpleNamespace(**fields)


def drawn_values() -> dict[str, Any]:
    """The values of the tab "New campaign" as it is drawn."""
    with gr.Blocks():
        form = Form()
        new_fields.draw(form)
    return {name: getattr(component, "value", None) for name, component in form.components.items()}


@pytest.fixture(scope="module")
def votes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "prompt": f"Question {n}?",
            "answer_a": f"long answer {n}",
            "answer_b": f"short {n}",
            "system_a": "one",
            "system_b": "two",
            "ann": "1",
            "bob": "2" if n == 0 else "1",
        }
        for n in range(4)
    ]
    path = tmp_path_factory.mktemp("uploads") / "votes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def campaign(lab: LabContext, votes_file: Path) -> int:
    """Four items of two systems with the votes of two annotators, who disagree about the first."""
    values = {
        **drawn_values(),
        "file.file": str(votes_file),
        "file.prompt": ["prompt"],
        "file.completions": ["answer_a", "answer_b"],
        "file.systems": ["system_a", "system_b"],
        "file.votes": ["ann", "bob"],
        "file.gold": None,
    }
    return int(new.start_from_file(lab, values)["started"])


def test_the_columns_of_a_file_are_guessed(votes_file: Path) -> None:
    updates = new.read_columns({"file.file": str(votes_file)})
    assert set(updates) == set(new_fields.COLUMNS)
    assert updates["file.prompt"]["value"] == ["prompt"]
    assert updates["file.prompt"]["choices"][0] == "prompt"
    assert new.read_columns({"file.file": None})["file.separator"] == "_"


def test_the_plan_reads_every_field_of_the_form(lab: LabContext) -> None:
    values = drawn_values() | {
        "plan.name": " Kindness ",
        "plan.criterion": new_fields.OWN_QUESTION,
        "plan.question": "Which is kinder?",
        "plan.kind": "ranking",
        "plan.overlap": 3.0,
        "plan.repeats": 10,
        "plan.seed": 7.0,
        "plan.ties": False,
        "plan.both_bad": False,
        "plan.guidelines": "Be fair.",
    }
    plan = new.read_plan(lab, "unused", values)
    assert (plan.name, plan.criterion, plan.kind, plan.overlap, plan.seed) == (
        "Kindness",
        "Which is kinder?",
        "ranking",
        3,
        7,
    )
    assert (plan.repeats, plan.ties, plan.both_bad, plan.guidelines) == (0.1, False, False, "Be fair.")
    assert new.show_question(values)["plan.question"]["visible"] is True
    with pytest.raises(LabError, match="The question is empty"):
        new.read_plan(lab, "x", values | {"plan.question": " "})


def test_a_name_that_is_used_gets_a_number(lab: LabContext, campaign: int) -> None:
    name = feedback.show(lab, campaign).name
    assert new.read_plan(lab, name, drawn_values()).name == f"{name} 2"


def test_fresh_completions_are_generated_with_what_the_form_says(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []

    def start(lab: LabContext, plan: Any, names: Any, **settings: Any) -> Any:
        calls.append((plan, names, settings))
        return SimpleNamespace(campaign=12)

    monkeypatch.setattr(fresh, "start", start)
    values = drawn_values() | {
        "fresh.models": ["starter-causal"],
        "fresh.prompts": "Once\n\n Twice \n",
        "fresh.dataset": "",
        "fresh.template": None,
        "fresh.temperatures": "0, 1.2",
        "plan.seed": 5.0,
    }
    assert new.start_fresh(lab, values) == {"started": 12}
    [(plan, names, settings)] = calls
    assert (plan.name, plan.seed, names) == ("Fresh completions", 5, ["starter-causal"])
    assert settings["prompts"] == ["Once", " Twice "]
    assert [sampling.greedy for sampling in settings["samplings"]] == [True, False]
    assert (settings["seed"], settings["samples"], settings["rows"], settings["template"]) == (5, 1, 50, "plain")
    assert new.start_example(lab) == {"started": 12}


@pytest.mark.parametrize(
    ("start", "change", "problem"),
    [
        (new.start_fresh, {"fresh.models": []}, "No model is chosen"),
        (new.start_fresh, {"fresh.models": ["x"], "fresh.prompts": " ", "fresh.dataset": ""}, "There are no prompts"),
        (
            new.start_fresh,
            {"fresh.models": ["x"], "fresh.prompts": "a", "fresh.temperatures": "hot"},
            "Temperatures is",
        ),
        (new.start_from_runs, {"runs.systems": [], "runs.numbers": ""}, "No run is chosen"),
        (new.start_from_runs, {"runs.systems": [], "runs.numbers": "12, x"}, "'x' is not the number of a run"),
        (new.start_from_file, {"file.file": None}, "No file is chosen"),
    ],
)
def test_what_is_missing_is_one_sentence(lab: LabContext, start: Any, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(LabError, match=problem):
        start(lab, drawn_values() | change)


def test_the_page_opens_with_a_campaign_or_with_a_new_one(lab: LabContext, campaign: int) -> None:
    loaded = page.load_page(lab, event(query_params={"campaign": str(campaign)}))
    assert (loaded["campaign"], loaded["page_tabs"]["selected"]) == (campaign, "campaigns")
    assert loaded["heading"]["name"] == "votes"
    from_runs = page.load_page(lab, event(query_params={"runs": "3,x,4"}))
    assert from_runs["page_tabs"]["selected"] == "new"
    assert from_runs["new.runs.numbers"]["value"] == "3, 4"
    assert set(from_runs) >= {f"new.{name}" for name in new.OFFERED} | {f"demo.{name}" for name in demo.OFFERED}


def test_every_panel_is_emptied_and_then_filled(lab: LabContext, campaign: int) -> None:
    values = {"campaign": campaign, "length_control": False, "items.named": False}
    assert set(page.show_campaign(lab, values)) == {*page.HEAD, *page.FIGURES, *outcome.RESULTS} - {"outcome.base"}
    updates = page.render_figures(lab, values)
    assert set(updates) == set(page.FIGURES)
    assert [row["name"] for row in updates["agreement"]["annotators"]] == ["ann", "bob"]
    assert [row["system"] for row in updates["board"]["rows"]] == ["one", "two"]
    assert updates["outcome.counts"]["pairs"] == "8"
    [dispute] = updates["items.disputed"]["rows"]
    assert (dispute["answers"], {side["system"] for side in dispute["candidates"]}) == ([], {""})  # blind
    named = page.render_figures(lab, {**values, "items.named": True})["items.disputed"]["rows"][0]
    assert {side["system"] for side in named["candidates"]} == {"one", "two"}
    nothing = page.render_figures(lab, {**values, "campaign": None})
    assert nothing["board"]["sentence"] == "It appears with the first answers."
    assert page.render_figures(lab, {**values, "length_control": True})["board"]["rows"]


def test_a_dispute_is_decided_and_the_decision_undone(lab: LabContext, campaign: int) -> None:
    values = {"campaign": campaign, "items.page": 0, "items.named": False}
    [dispute] = items.redraw(lab, values)["items.disputed"]["rows"]
    decided = items.decide(lab, values, event(item=dispute["item"], order="a = b"))
    assert decided["items.disputed"]["rows"][0]["decided"] == "A = B"
    undone = items.undo_decision(lab, values, event(item=dispute["item"]))
    assert undone["items.disputed"]["rows"][0]["decided"] == ""
    with pytest.raises(LabError, match="is not an order; write A > B"):
        items.decide(lab, values, event(item=dispute["item"], order="C > A"))
    assert items.turn_page(lab, 1, values)["items.page"] == 0


def test_annotators_are_invited_and_their_links_renewed_and_ended(lab: LabContext, campaign: int) -> None:
    values = {"campaign": campaign, "progress.names": " Cy , Di "}
    updates = progress.invite(lab, values)
    assert set(updates) == {"progress.names", *progress.PANELS}
    people = {row["name"]: row for row in updates["progress.people"]["rows"]}
    assert updates["progress.names"] == ""
    renewed = progress.renew_link(lab, values, event(id=people["Cy"]["id"]))["progress.people"]["rows"]
    assert next(row["path"] for row in renewed if row["name"] == "Cy") != people["Cy"]["path"]
    ended = progress.end_link(lab, values, event(id=people["Di"]["id"]))["progress.people"]["rows"]
    assert next(row["path"] for row in ended if row["name"] == "Di") == ""
    assert {link.name for link in links.find_links(lab, campaign)} >= {"Cy", "Di"}
    with pytest.raises(LabError, match="No name is given"):
        progress.invite(lab, {**values, "progress.names": " , "})


def test_a_campaign_is_opened_renamed_and_discarded(lab: LabContext, votes_file: Path) -> None:
    values = {**drawn_values(), "plan.name": "short lived", **new_values(votes_file)}
    campaign = {"campaign": new.start_from_file(lab, values)["started"]}
    opened = progress.change_status(lab, "open", campaign)
    assert (opened["progress.pause"]["visible"], opened["progress.open"]["visible"]) == (True, False)
    settings = progress.load_settings(lab, campaign)
    assert settings["settings.name"] == "short lived"
    progress.save_settings(lab, {**campaign, **settings, "settings.name": "renamed", "settings.overlap": 3.0})
    assert feedback.show(lab, campaign["campaign"]).plan.overlap == 3
    with gr.Blocks():
        _, question = progress.ask_to_discard(lab, Confirm("Discard", "confirm"), campaign["campaign"])
    assert question.startswith("Discard renamed with its 4 items?")
    assert progress.discard(lab, campaign)["campaign"] != campaign["campaign"]
    with pytest.raises(LabError, match="No campaign is selected"):
        progress.discard(lab, {"campaign": None})


def new_values(votes_file: Path) -> dict[str, Any]:
    """Columns of the file without its votes."""
    return {
        "file.file": str(votes_file),
        "file.prompt": ["prompt"],
        "file.completions": ["answer_a", "answer_b"],
        "file.systems": ["system_a", "system_b"],
        "file.votes": [],
        "file.gold": None,
    }


def test_pairs_are_exported_and_become_a_dataset(lab: LabContext, campaign: int) -> None:
    values = {"campaign": campaign, "outcome.form": outcome.FORMS[0], "outcome.votes": outcome.VOTES[0]}
    exported = outcome.export(lab, "jsonl", "pairs", values)["outcome.file"]
    assert len(Path(exported["value"]).read_text().splitlines()) == 8
    outcome.create_dataset(lab, values)
    with pytest.raises(LabError, match="No base is chosen"):
        outcome.train(lab, "reward", {**values, "outcome.base": None, "outcome.method": "full"})
    with pytest.raises(LabError, match="No reward model of this campaign"):
        outcome.study_learning_curve(lab, values)
    with pytest.raises(LabError, match="No policy of this campaign"):
        outcome.compare_blind(lab, values)


def test_a_demo_reads_every_field_of_its_form(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "warm", lambda *_: None)
    with gr.Blocks():
        form = demo.build(lab)
    values = {name: getattr(form[name], "value", None) for name in demo.FIELDS} | {
        "title": "Which is better?",
        "models": ["starter-causal", "starter-seq2seq"],
        "prompts": "Once\n\nTwice",
        "temperature": 0,
        "per_minute": 3.0,
        "board": False,
    }
    plan = demo.read_plan(lab, values)
    assert (plan.title, plan.models, plan.prompts) == (
        "Which is better?",
        ("starter-causal", "starter-seq2seq"),
        ("Once", "Twice"),
    )
    assert (plan.a_minute, plan.an_hour, plan.longest, plan.reveal, plan.board) == (3, 600, 2000, True, False)
    assert plan.sampling["greedy"] is True
    created = demo.create_demo(lab, values)
    [row] = [row for row in created["table"]["rows"] if row["title"] == plan.title]
    assert created["title"] == ""
    closed = demo.close_or_reopen(lab, event(id=row["id"]))["table"]["rows"]
    assert {"closed"} == {line["state"] for line in closed if line["id"] == row["id"]}
    renewed = demo.renew_link(lab, event(id=row["id"]))["table"]["rows"]
    assert demos.show(lab, row["id"]).path != row["path"]
    assert {line["action"] for line in renewed if line["id"] == row["id"]} == {"Reopen"}
    with pytest.raises(LabError, match="The title is empty"):
        demo.read_plan(lab, values | {"title": " "})


def test_choices_are_models_that_generate(lab: LabContext) -> None:
    generating = {view.card.name for view in models.catalogue(lab) if view.card.modes}
    assert set(demo.load_choices(lab)["models"]["choices"]) == generating
    assert set(new.load_choices(lab)["fresh.models"]["choices"]) == generating


def test_every_name_of_the_page_is_a_component(lab: LabContext) -> None:
    """The wiring refers to components by name; a wrong one fails when the page is built."""
    with gr.Blocks():
        page.build(lab)
        assert results.BOARD_PANELS
        assert Selection()
