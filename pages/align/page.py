"""Align: a policy trained against a reward, its runs, what it wrote, and what it learned."""

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.rewards import RewardPart
from genai_lab.services import alignment
from pages.align import new, plans, reports, rollouts, runs
from pages.components.errors import INTERNAL, show_warning
from pages.components.forms import Form, Updates, Values
from pages.components.head import page_head
from pages.components.loading import number_of
from pages.components.selection import Selection

TITLE = "Align"
ROUTE = "align"
ADDRESS = """(run) => { if (run) history.replaceState(null, '', `${location.pathname}?run=${run}`); return run; }"""
TABS = ("new", "runs", "rollouts", "reports")


def build(lab: LabContext) -> None:
    page_head(
        TITLE, "Train a policy on what its completions earn, watch it, and read every completion that it learned from."
    )
    page = Form(run=gr.State(None), started=gr.State(None))
    page.add(address=gr.Textbox("", visible="hidden", show_label=False, container=False))
    selection = Selection(lambda arguments: arguments[0]["run"])
    with gr.Tabs(elem_id="al-tabs") as tabs:
        page.add(tabs=tabs)
        with gr.Tab("Train a policy", id="new"):
            new.build(lab, page)
        with gr.Tab("Runs", id="runs"):
            runs.build(lab, page, selection)
        with gr.Tab("Rollouts", id="rollouts"):
            rollouts.build(lab, page, selection)
        with gr.Tab("What it learned", id="reports"):
            reports.build(lab, page, selection)
    page.on_load(load_page, lab, inputs=["plan_draft"], outputs=["tabs", "run", *plans.INPUTS])
    follow = page.on(page["started"].change, on_started, inputs=["started"], outputs=["tabs", "run", "address"])
    follow.success(None, page["address"], None, js=ADDRESS, **INTERNAL)


def load_page(lab: LabContext, values: Values, request: gr.Request) -> Updates:
    """The page as its address asks for it: ?run=ID with &tab=rollouts, ?reward=NAME for a policy to be trained with
    that reward model or classifier, else the form as it was left.
    """
    named, tab, reward = (request.query_params.get(name, "") for name in ("run", "tab", "reward"))
    newest = alignment.find(lab)
    number = number_of(named)
    updates: Updates = {
        "run": number if number is not None else newest[0].id if newest else None,
        **plans.form_updates(lab, plans.read_plan_draft(values["plan_draft"])),
    }
    if reward:
        scorers = updates["reward"]["choices"]
        named_by = {plans.scorer_text(RewardPart(kind, reward)) for kind in plans.SCORERS}
        chosen = next((text for _, text in scorers if text in named_by), None)
        if chosen is None:
            show_warning(f"There is no reward model or classifier {reward[:60]} here that is ready.")
        else:
            updates |= {"reward": gr.update(choices=scorers, value=chosen), "weight": 1.0}
    if tab in TABS or named:
        updates["tabs"] = gr.update(selected=tab if tab in TABS else "runs")
    return updates


def on_started(values: Values) -> Updates:
    """To the run that has just been started."""
    run = values["started"]
    return {"tabs": gr.update(selected="runs"), "run": run, "address": str(run)} if run else {}
