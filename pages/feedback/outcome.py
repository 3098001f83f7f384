"""The tab "Export and reward model": pairs and rankings taken along, a reward model or a policy that learns them."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback.pairs import FORMS, VOTES
from genai_lab.services import feedback as service
from genai_lab.services import models, training
from genai_lab.services.feedback import campaign_models, exporting
from genai_lab.services.training import reward_studies
from pages.components import plots
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import piece, section
from pages.components.selection import Selection

Update = Any
EACH = ("each in turn", "")
COUNTS = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the answers of {{value.waiting}}…</p>
{{else if value.pairs}}<p class="verdict"><b>{{value.campaign}}</b>:
{{value.pairs}} pairs from {{value.votes}} rankings; a ranking of k gives all its
pairs that are no tie, each with the weight 1 / (k choose 2).</p>{{else}}<div class="empty-state"><b>No pairs yet</b>
<p>Pairs appear when an annotator has put one candidate before another.</p></div>{{/if}}
"""
LEARNED = """
{{#if value.rows.length}}<h3>Learned from this campaign</h3><div class="grid-scroll" tabindex="0" role="region"
aria-label="Learned from this campaign"><table class="grid scores"><thead><tr><th scope="col">Run</th>
<th scope="col">Model</th><th scope="col">Held-out accuracy</th><th scope="col">Simple baselines</th>
<th scope="col">State</th></tr></thead><tbody>{{#each value.rows}}<tr><td>
<a href="/finetune?run={{this.id}}">{{this.id}}</a></td><td>{{this.model}}</td><td>{{this.accuracy}}</td>
<td>{{this.baselines}}</td><td>{{this.status}}</td></tr>
{{/each}}</tbody></table></div>{{/if}}{{#if value.labels.length}}<h3>With the labels of an annotator
left out or flipped</h3><div class="grid-scroll" tabindex="0" role="region" aria-label="Labels left out or flipped">
<table class="grid scores"><thead><tr>
<th scope="col">Annotator</th><th scope="col">Accuracy</th><th scope="col">Change</th><th scope="col">95 % interval</th>
</tr></thead><tbody>{{#each value.labels}}<tr><td>{{this.name}}, {{this.how}}</td><td>{{this.after}}</td>
<td>{{this.change}}</td><td>{{this.interval}}</td></tr>{{/each}}</tbody></table></div>{{/if}}
{{#if value.told}}<p class="verdict">{{value.told}}</p>{{/if}}
"""
BEGUN = """{{#if value.run}}<p class="verdict"><a href="/finetune?run={{value.run}}">Run {{value.run}} teaches
{{value.model}}</a>: its curves and its report on held-out pairs are on the Fine-tune page.</p>{{/if}}"""


class Outcome:
    """`drawn` are the outputs of `draw`, `answers` what a button has made of the campaign; `cleared` empties both."""

    def __init__(self, lab: LabContext, opened: gr.State, selection: Selection) -> None:
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
        gr.Markdown(
            "JSONL holds every text as it is; in CSV a cell that a spreadsheet could run as a formula begins with an "
            "apostrophe.",
            elem_classes=["quiet"],
        )
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
        self.learned = piece({"rows": []}, LEARNED, "fb-learned", sheet="feedback.css")
        with gr.Row(elem_classes=["actions"]):
            small: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 170, "visible": False}
            curve = gr.Button("Would more labels help?", elem_id="fb-curve", **small)
            compare = gr.Button("Compare policy and base blind", elem_id="fb-blind", **small)
        with gr.Row(visible=False, elem_classes=["actions"]) as changing:
            who = gr.Dropdown([EACH], value="", label="Annotator", elem_id="fb-whose", interactive=True)
            how = gr.Radio(
                [("left out", "leave out"), ("flipped", "flip")],
                value="leave out",
                label="Their labels are",
                elem_id="fb-how",
            )
            labels = gr.Button("See what it changes", size="sm", scale=0, min_width=150, elem_id="fb-labels")
        self.plot = gr.Plot(show_label=False, container=False, visible=False, elem_id="fb-learning")
        self.drawn = [self.counts, base, who, self.learned, curve, changing, compare, self.plot]
        self.answers = [file, begun]
        compare.click(guarded(blind, lab), opened, opened, **PRIVATE)
        curve.click(guarded(studied, lab), opened, None, **PRIVATE)
        labels.click(guarded(relabelled, lab), [opened, who, how], None, **PRIVATE)
        files = (
            (jsonl, "jsonl", "pairs"),
            (csv, "csv", "pairs"),
            (raw, "jsonl", "rankings"),
            (rawcsv, "csv", "rankings"),
        )
        for button, kind, what in files:
            button.click(selection.for_choice(exported, lab, kind, what), [opened, form, votes], file, **PRIVATE)
        dataset.click(guarded(kept, lab), [opened, votes], None, **PRIVATE)
        train.click(selection.for_choice(trained, lab, "reward"), [opened, votes, base, method], begun, **PRIVATE)
        tune.click(selection.for_choice(trained, lab, "dpo"), [opened, votes, base, method], begun, **PRIVATE)


def cleared(campaign: str) -> Sequence[Update]:
    """In the order of `drawn` and `answers`: nothing, until the campaign that was just chosen is read."""
    hidden = gr.update(visible=False)
    whose = gr.update(choices=[EACH], value="")
    drawn = [{"waiting": campaign}, gr.skip(), whose, {"rows": []}, hidden, hidden, hidden]
    return [*drawn, gr.update(visible=False, value=None), gr.update(visible=False, value=None), {}]


def draw(lab: LabContext, view: service.CampaignView | None) -> Sequence[Update]:
    found = exporting.pairs(lab, view.id) if view else []
    names = [one.card.name for one in models.catalogue(lab) if _able(one.card)]
    first = next((name for name in PREFERRED if name in names), names[0] if names else None)
    counts = {"pairs": f"{len(found):,}", "votes": f"{len({pair.ranking for pair in found}):,}"} if found else {}
    counts |= {"campaign": view.name} if view else {}
    people = sorted({pair.annotator for pair in found})
    whose = gr.update(choices=[EACH, *((name, name) for name in people)], value="")
    return [counts, gr.update(choices=names, value=first), whose, *_learned(lab, view)]


def _learned(lab: LabContext, view: service.CampaignView | None) -> Sequence[Update]:
    hidden = gr.update(visible=False)
    made = campaign_models.of(lab, view.id) if view else None
    if made is None or not made.runs:
        return [{"rows": []}, hidden, hidden, hidden, hidden]
    able = made.rewarded is not None
    told = campaign_models.more_would_help(made.curve)
    if made.waiting:
        told = f"{told} {made.waiting} run{'s are' if made.waiting > 1 else ' is'} still learning.".strip()
    labels = [
        {
            "name": one.annotator,
            "how": reward_studies.HOW[one.how].replace("_", " "),
            "after": f"{one.after:.3f}",
            "change": f"{one.difference:+.3f}",
            "interval": f"{one.low:+.3f} to {one.high:+.3f}",
        }
        for one in made.influences
    ]
    points = [one for one in made.curve if one.value is not None]
    return [
        {"rows": [_run(one) for one in made.runs], "labels": labels, "told": told},
        gr.update(visible=able),
        gr.update(visible=able),
        gr.update(visible=any(_policy(run) for run in made.runs)),
        gr.update(visible=len(points) > 1, value=_curve(points) if len(points) > 1 else None),
    ]


def _policy(run: Any) -> bool:
    return bool(run.plan.objective == "dpo" and run.status == "finished")


def blind(lab: LabContext, campaign: int | None) -> int:
    """A campaign that sets the newest policy beside its base."""
    found = next((run for run in campaign_models.of(lab, _known(campaign)).runs if _policy(run)), None)
    if found is None:
        raise LabError("No policy of this campaign has ended yet; tune one first.")
    begun = campaign_models.before_and_after(lab, found.id)
    notice("Both answer the held-out prompts; invite annotators meanwhile.")
    return begun.campaign


def _run(run: Any) -> dict[str, Any]:
    found, simple = run.report.get("accuracy"), run.report.get("baselines", {})
    return {
        "id": run.id,
        "model": run.model or run.title,
        "accuracy": _figure(found) if found else "",
        "baselines": ", ".join(f"{name} {one['value']:.3f}" for name, one in simple.items() if one["value"]),
        "status": run.status,
    }


def _figure(one: dict[str, Any]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f}), n = {one['n']:,}"


def _curve(points: Sequence[Any]) -> Any:
    """Held-out accuracy against the number of pairs."""
    made = plots.layout(height=260, showlegend=False)
    made["xaxis"] = {"title": {"text": "Training pairs"}, "gridcolor": plots.GRID, "zeroline": False}
    made["yaxis"] = {"title": {"text": "Held-out accuracy"}, "gridcolor": plots.GRID, "zeroline": False}
    made["margin"] = {"l": 56, "r": 12, "t": 12, "b": 44}
    data = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [one.pairs for one in points],
        "y": [one.value for one in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [one.high - one.value for one in points],
            "arrayminus": [one.value - one.low for one in points],
            "color": plots.BLUE,
        },
        "line": {"color": plots.BLUE},
        "hovertemplate": "%{x:,} pairs: %{y:.3f}<extra></extra>",
    }
    return plots.figure([data], made)


def studied(lab: LabContext, campaign: int | None) -> None:
    _begin(lab, campaign, campaign_models.CURVE)


def relabelled(lab: LabContext, campaign: int | None, who: str | None, how: str) -> None:
    _begin(lab, campaign, campaign_models.LABELS, [who] if who else [], how)


def _begin(lab: LabContext, campaign: int | None, *what: Any) -> None:
    """Begins a study with the plan of the newest reward model."""
    found = campaign_models.of(lab, _known(campaign)).rewarded
    if found is None:
        raise LabError("No reward model of this campaign has ended yet; train one first.")
    campaign_models.study(lab, found.id, *what)
    notice("Its runs are queued; what they say appears here as they end.")


PREFERRED = ("starter-toxicity", "starter-causal")


def _able(card: Any) -> bool:
    here = card.has_weights and not card.is_adapter
    return here and card.family in ("decoder-only", "encoder", "classifier")


def exported(lab: LabContext, kind: str, what: str, campaign: int | None, form: str, votes: str) -> Update:
    made = exporting.export_file(lab, _known(campaign), kind, form=form, votes=votes, what=what)
    if made.dataset:
        notice(f"The pairs are kept as the dataset {made.dataset} too.")
    return gr.update(value=str(made.path), visible=True)


def kept(lab: LabContext, campaign: int | None, votes: str) -> None:
    made = exporting.to_dataset(lab, _known(campaign), votes=votes)
    notice(f"{made.name} holds {made.rows:,} pairs; the Datasets page shows them.")


def trained(
    lab: LabContext, objective: str, campaign: int | None, votes: str, base: str | None, method: str
) -> dict[str, Any]:
    """Pairs, plan and run in one go; the live page is that of fine-tuning."""
    if not base:
        raise LabError("No base is chosen; choose the model that learns from the pairs.")
    made = exporting.to_dataset(lab, _known(campaign), votes=votes)
    plan = reward_studies.default_plan(lab, made.name, base, method, objective=objective)
    begun = training.start(lab, plan)
    notice(f"Run {begun.run_id} teaches {begun.model}.")
    return {"run": begun.run_id, "model": begun.model}


def _known(campaign: int | None) -> int:
    if campaign is None:
        raise LabError("No campaign is chosen; choose one in the list.")
    return campaign
