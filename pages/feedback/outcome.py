"""The tab "Export and reward model": pairs and rankings taken along, a reward model or a policy that learns them."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.errors import LabError
from genai_lab.feedback.pairs import FORMS, VOTES
from genai_lab.lab import Lab
from genai_lab.services import feedback as service
from genai_lab.services import models, training
from genai_lab.services.feedback import exporting
from genai_lab.services.training import rewarding
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import piece, section

Update = Any
COUNTS = """
{{#if value.pairs}}<p class="verdict">{{value.pairs}} pairs from {{value.votes}} rankings; a ranking of k gives all its
pairs that are no tie, each with the weight 1 / (k choose 2).</p>{{else}}<div class="empty-state"><b>No pairs yet</b>
<p>Pairs appear when an annotator has put one candidate before another.</p></div>{{/if}}
"""
BEGUN = """{{#if value.run}}<p class="verdict"><a href="/finetune?run={{value.run}}">Run {{value.run}} teaches
{{value.model}}</a>: its curves and its report on held-out pairs are on the Fine-tune page.</p>{{/if}}"""


class Outcome:
    """`drawn` are the outputs of `draw`."""

    def __init__(self, lab: Lab, opened: gr.State) -> None:
        self.counts = piece({}, COUNTS, "fb-counts", sheet="feedback.css")
        with gr.Row():
            votes = gr.Dropdown(
                [("each vote by itself", "kept"), ("the majority of each item", "majority")],
                value=VOTES[0],
                label="Several annotators",
                elem_id="fb-votes",
            )
            form = gr.Dropdown(list(FORMS), value=FORMS[0], label="Form", info="As TRL reads it.", elem_id="fb-form")
        with gr.Row(elem_classes=["actions"]):
            jsonl = gr.Button("Pairs as JSONL", size="sm", scale=0, min_width=110, elem_id="fb-jsonl")
            csv = gr.Button("Pairs as CSV", size="sm", scale=0, min_width=110, elem_id="fb-csv")
            raw = gr.Button("Rankings as JSONL", size="sm", scale=0, min_width=120, elem_id="fb-raw")
            rawcsv = gr.Button("Rankings as CSV", size="sm", scale=0, min_width=120, elem_id="fb-rawcsv")
            dataset = gr.Button("Make a dataset", size="sm", scale=0, min_width=120, elem_id="fb-dataset")
        file = gr.File(label="File", visible=False, interactive=False, elem_id="fb-file")
        section("Reward model and policy", "Learn from the pairs what annotators prefer; tested on prompts held out.")
        with gr.Row():
            base = gr.Dropdown([], label="Base", info="A decoder or an encoder.", elem_id="fb-base")
            method = gr.Dropdown(
                [("full fine-tuning", "full"), ("LoRA", "lora")], value="full", label="Method", elem_id="fb-method"
            )
        with gr.Row(elem_classes=["actions"]):
            train = gr.Button("Train reward model", variant="primary", scale=0, min_width=150, elem_id="fb-train")
            tune = gr.Button("Tune a policy (DPO)", scale=0, min_width=150, elem_id="fb-dpo")
        begun = piece({}, BEGUN, "fb-begun", sheet="feedback.css")
        self.drawn = [self.counts, base]
        files = (
            (jsonl, "jsonl", "pairs"),
            (csv, "csv", "pairs"),
            (raw, "jsonl", "rankings"),
            (rawcsv, "csv", "rankings"),
        )
        for button, kind, what in files:
            button.click(guarded(exported, lab, kind, what), [opened, form, votes], file, **PRIVATE)
        dataset.click(guarded(kept, lab), [opened, votes], None, **PRIVATE)
        train.click(guarded(trained, lab, "reward"), [opened, votes, base, method], begun, **PRIVATE)
        tune.click(guarded(trained, lab, "dpo"), [opened, votes, base, method], begun, **PRIVATE)


def draw(lab: Lab, view: service.CampaignView | None) -> Sequence[Update]:
    found = exporting.pairs(lab, view.id) if view else []
    names = [one.card.name for one in models.catalogue(lab) if _able(one.card)]
    first = next((name for name in PREFERRED if name in names), names[0] if names else None)
    counts = {"pairs": f"{len(found):,}", "votes": f"{len({pair.ranking for pair in found}):,}"} if found else {}
    return [counts, gr.update(choices=names, value=first)]


PREFERRED = ("starter-toxicity", "starter-causal")


def _able(card: Any) -> bool:
    here = card.source.backend not in ("adapter", "endpoint")
    return here and card.family in ("decoder-only", "encoder", "classifier")


def exported(lab: Lab, kind: str, what: str, campaign: int | None, form: str, votes: str) -> Update:
    path = exporting.export_file(lab, _known(campaign), kind, form=form, votes=votes, what=what)
    return gr.update(value=str(path), visible=True)


def kept(lab: Lab, campaign: int | None, votes: str) -> None:
    made = exporting.to_dataset(lab, _known(campaign), votes=votes)
    notice(f"{made.name} holds {made.rows:,} pairs; the Datasets page shows them.")


def trained(
    lab: Lab, objective: str, campaign: int | None, votes: str, base: str | None, method: str
) -> dict[str, Any]:
    """Pairs, plan and run in one go; the live page is that of fine-tuning."""
    if not base:
        raise LabError("No base is chosen; choose the model that learns from the pairs.")
    made = exporting.to_dataset(lab, _known(campaign), votes=votes)
    plan = rewarding.default_plan(lab, made.name, base, method, objective=objective)
    begun = training.start(lab, plan)
    return {"run": begun.run_id, "model": begun.model}


def _known(campaign: int | None) -> int:
    if campaign is None:
        raise LabError("No campaign is chosen; choose one in the list.")
    return campaign
