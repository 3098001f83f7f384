"""The tab "Export and reward model": exporting pairs and rankings, and training a reward model or a policy on them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback.pairs import FORMS, VOTES
from genai_lab.services import feedback as service
from genai_lab.services import models
from genai_lab.services.feedback import campaign_models, exporting
from genai_lab.services.training import reward_studies
from genai_lab.training.objectives import OBJECTIVES
from pages.components import plots
from pages.components.errors import notice
from pages.components.forms import Form, in_section
from pages.components.head import html_part, section
from pages.components.selection import Selection
from pages.components.settings_inputs import Updates, Values
from pages.feedback.progress import selected_campaign

EACH = ("each in turn", "")
PREFERRED_BASES = ("starter-toxicity", "starter-causal")
COUNTS = """
{{#if value.waiting}}<p class="quiet" role="status">Reading the answers of {{value.waiting}}…</p>
{{else if value.pairs}}<p class="verdict"><b>{{value.campaign}}</b>:
{{value.pairs}} pairs from {{value.votes}} rankings; a ranking of k gives all its
pairs without ties, each with the weight 1 / (k choose 2).</p>{{else}}<div class="empty-state"><b>No pairs yet</b>
<p>Pairs appear when an annotator has put one candidate before another.</p></div>{{/if}}
"""
MODELS = """
{{#if value.rows.length}}<h3>Models trained on this campaign</h3><div class="grid-scroll" tabindex="0" role="region"
aria-label="Models trained on this campaign"><table class="grid scores"><thead><tr><th scope="col">Run</th>
<th scope="col">Model</th><th scope="col">Held-out accuracy</th><th scope="col">Simple baselines</th>
<th scope="col">State</th><td></td></tr></thead><tbody>{{#each value.rows}}<tr><td>
<a href="/finetune?run={{this.id}}">{{this.id}}</a></td><td>{{this.model}}</td><td>{{this.accuracy}}</td>
<td>{{this.baselines}}</td><td>{{this.status}}</td><td>{{#if this.align}}
<a class="align" href="/align?reward={{this.align}}">Align a policy with it</a>{{/if}}</td></tr>
{{/each}}</tbody></table></div>{{/if}}{{#if value.labels.length}}<h3>With the labels of an annotator
left out or flipped</h3><div class="grid-scroll" tabindex="0" role="region" aria-label="Labels left out or flipped">
<table class="grid scores"><thead><tr>
<th scope="col">Annotator</th><th scope="col">Accuracy</th><th scope="col">Change</th><th scope="col">95 % interval</th>
</tr></thead><tbody>{{#each value.labels}}<tr><td>{{this.name}}, {{this.how}}</td><td>{{this.after}}</td>
<td>{{this.change}}</td><td>{{this.interval}}</td></tr>{{/each}}</tbody></table></div>{{/if}}
{{#if value.summary}}<p class="verdict">{{value.summary}}</p>{{/if}}
"""
STARTED = """{{#if value.run}}<p class="verdict"><a href="/finetune?run={{value.run}}">Run {{value.run}} trains
{{value.model}}</a>: its curves and its report on held-out pairs are on the Fine-tune page.</p>{{/if}}"""


PANELS = [
    f"outcome.{name}"
    for name in ("counts", "base", "annotator", "models", "more_labels", "label_study", "compare", "plot")
]
RESULTS = ["outcome.file", "outcome.started"]
EXPORTS = {"pairs_jsonl": ("jsonl", "pairs"), "pairs_csv": ("csv", "pairs"), "labels_jsonl": ("jsonl", "labels"),
           "rankings_jsonl": ("jsonl", "rankings"), "rankings_csv": ("csv", "rankings")}  # fmt: skip
CAMPAIGN = ["campaign"]
# Those that learn from the votes themselves; others need a reward model first.
POLICIES = tuple(
    name for name in OBJECTIVES if OBJECTIVES.get(name).learns_policy and not OBJECTIVES.get(name).rolls_out
)
TRAINING = ["campaign", "outcome.votes", "outcome.base", "outcome.method"]


def build(lab: LabContext, form: Form, selection: Selection) -> None:
    """Draws the tab and adds its components to the page's form."""
    form.add(in_section({**_export(), **_training()}, "outcome"))

    def on(
        button: str, fn: Any, *bound: Any, inputs: Sequence[str] = ("campaign",), outputs: Sequence[str] = ()
    ) -> None:
        event = form[f"outcome.{button}"].click
        form.on(event, selection.for_choice(fn, *bound), inputs=inputs, outputs=outputs)

    for button, (file_format, content) in EXPORTS.items():
        inputs = ["campaign", "outcome.form", "outcome.votes"]
        on(button, export, lab, file_format, content, inputs=inputs, outputs=["outcome.file"])
    on("dataset", create_dataset, lab, inputs=["campaign", "outcome.votes"])
    on("train_reward", train, lab, "reward", inputs=TRAINING, outputs=["outcome.started"])
    for objective in POLICIES:
        on(f"tune_{objective}", train, lab, objective, inputs=TRAINING, outputs=["outcome.started"])
    on("more_labels", study_learning_curve, lab)
    on("study_labels", study_labels, lab, inputs=["campaign", "outcome.annotator", "outcome.labels"])
    form.on(form["outcome.compare"].click, compare_blind, lab, inputs=["campaign"], outputs=["campaign"])


def _export() -> dict[str, Any]:
    components: dict[str, Any] = {"counts": html_part({}, COUNTS, "fb-counts", sheet="feedback.css")}
    with gr.Row():
        components["votes"] = gr.Dropdown(
            [("each vote by itself", "kept"), ("the majority of each item", "majority")],
            value=VOTES[0],
            label="Several annotators",
            elem_id="fb-votes",
        )
        components["form"] = gr.Dropdown(
            list(FORMS), value=FORMS[0], label="Form", info="A data format of TRL.", elem_id="fb-form"
        )
    with gr.Row(elem_classes=["actions"]):
        button: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 120}
        components |= {
            "pairs_jsonl": gr.Button("Pairs as JSONL", elem_id="fb-jsonl", **button),
            "pairs_csv": gr.Button("Pairs as CSV", elem_id="fb-csv", **button),
            "labels_jsonl": gr.Button("Labels as JSONL", elem_id="fb-labels-jsonl", **button),
            "rankings_jsonl": gr.Button("Rankings as JSONL", elem_id="fb-raw", **button),
            "rankings_csv": gr.Button("Rankings as CSV", elem_id="fb-rawcsv", **button),
            "dataset": gr.Button("Create a dataset", elem_id="fb-dataset", **button),
        }
    gr.Markdown(
        "JSONL holds every text as it is; in CSV a cell that a spreadsheet could run as a formula begins with an "
        "apostrophe.",
        elem_classes=["quiet"],
    )
    components["file"] = gr.File(label="File", visible=False, interactive=False, elem_id="fb-file")
    return components


def _training() -> dict[str, Any]:
    section(
        "Reward model and policy",
        "Learn from the votes what annotators prefer; tested on held-out prompts. KTO reads them as labels of single "
        "completions: a tie gives none, and both of “both bad” are bad.",
    )
    with gr.Row():
        components: dict[str, Any] = {
            "base": gr.Dropdown([], label="Base", info="A decoder-only model or an encoder.", elem_id="fb-base"),
            "method": gr.Dropdown(
                [("full fine-tuning", "full"), ("LoRA", "lora")], value="full", label="Method", elem_id="fb-method"
            ),
        }
    with gr.Row(elem_classes=["actions"]):
        components["train_reward"] = gr.Button(
            "Train reward model", variant="primary", scale=0, min_width=150, elem_id="fb-train"
        )
        for objective in POLICIES:
            label = f"Tune a policy ({objective.upper()})"
            components[f"tune_{objective}"] = gr.Button(label, scale=0, min_width=150, elem_id=f"fb-{objective}")
    components["started"] = html_part({}, STARTED, "fb-begun", sheet="feedback.css")
    components["models"] = html_part({"rows": []}, MODELS, "fb-learned", sheet="feedback.css")
    with gr.Row(elem_classes=["actions"]):
        hidden: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 170, "visible": False}
        components["more_labels"] = gr.Button("Would more labels help?", elem_id="fb-curve", **hidden)
        components["compare"] = gr.Button("Compare policy and base blind", elem_id="fb-blind", **hidden)
    with gr.Row(visible=False, elem_classes=["actions"]) as label_study:
        components["annotator"] = gr.Dropdown([EACH], value="", label="Annotator", elem_id="fb-whose", interactive=True)
        components["labels"] = gr.Radio(
            [("left out", "leave out"), ("flipped", "flip")],
            value="leave out",
            label="Their labels",
            elem_id="fb-how",
        )
        components["study_labels"] = gr.Button(
            "Measure the effect", size="sm", scale=0, min_width=150, elem_id="fb-labels"
        )
    components["label_study"] = label_study
    components["plot"] = gr.Plot(show_label=False, container=False, visible=False, elem_id="fb-learning")
    return components


def empty_panels(campaign: str) -> Updates:
    """Panels that wait for the pairs and models of this campaign."""
    hidden = gr.update(visible=False)
    updates = {
        "counts": {"waiting": campaign},
        "annotator": gr.update(choices=[EACH], value=""),
        "models": {"rows": []},
        **dict.fromkeys(("more_labels", "label_study", "compare"), hidden),
        **dict.fromkeys(("plot", "file"), gr.update(visible=False, value=None)),
        "started": {},
    }
    return in_section(updates, "outcome")


def render(lab: LabContext, view: service.CampaignView | None) -> Updates:
    pairs = exporting.pairs(lab, view.id) if view else []
    bases = [model.card.name for model in models.catalogue(lab) if _is_base(model.card)]
    base = next((name for name in PREFERRED_BASES if name in bases), bases[0] if bases else None)
    counts = {"pairs": f"{len(pairs):,}", "votes": f"{len({pair.ranking for pair in pairs}):,}"} if pairs else {}
    counts |= {"campaign": view.name} if view else {}
    annotators = sorted({pair.annotator for pair in pairs})
    updates = {
        "counts": counts,
        "base": gr.update(choices=bases, value=base),
        "annotator": gr.update(choices=[EACH, *((name, name) for name in annotators)], value=""),
        **_models(lab, view),
    }
    return in_section(updates, "outcome")


def _models(lab: LabContext, view: service.CampaignView | None) -> Updates:
    """The models that were trained on the campaign, and what can be studied with them."""
    hidden = gr.update(visible=False)
    learned = campaign_models.of(lab, view.id) if view else None
    if learned is None or not learned.runs:
        return {"models": {"rows": []}, **dict.fromkeys(("more_labels", "label_study", "compare", "plot"), hidden)}
    can_study = gr.update(visible=learned.rewarded is not None)
    summary = campaign_models.more_would_help(learned.curve)
    if learned.waiting:
        runs = "run is" if learned.waiting == 1 else "runs are"
        summary = f"{summary} {learned.waiting} {runs} still training.".strip()
    labels = [
        {
            "name": influence.annotator,
            "how": reward_studies.HOW[influence.how].replace("_", " "),
            "after": f"{influence.after:.3f}",
            "change": f"{influence.difference:+.3f}",
            "interval": f"{influence.low:+.3f} to {influence.high:+.3f}",
        }
        for influence in learned.influences
    ]
    points = [point for point in learned.curve if point.value is not None]
    plot = gr.update(visible=True, value=_curve(points)) if len(points) > 1 else gr.update(visible=False, value=None)
    return {
        "models": {"rows": [_run(run) for run in learned.runs], "labels": labels, "summary": summary},
        "more_labels": can_study,
        "label_study": can_study,
        "compare": gr.update(visible=any(_is_policy(run) for run in learned.runs)),
        "plot": plot,
    }


def _is_policy(run: Any) -> bool:
    return bool(run.tunes_policy and run.status == "finished")


def compare_blind(lab: LabContext, values: Values) -> Updates:
    """A campaign that compares the newest policy with its base."""
    policy = next((run for run in campaign_models.of(lab, selected_campaign(values)).runs if _is_policy(run)), None)
    if policy is None:
        raise LabError("No policy of this campaign has been trained yet; tune one first.")
    campaign = campaign_models.before_and_after(lab, policy.id).campaign
    notice("Both answer the held-out prompts; invite annotators meanwhile.")
    return {"campaign": campaign}


def _run(run: Any) -> dict[str, Any]:
    accuracy, baselines = run.report.get("accuracy"), run.report.get("baselines", {})
    return {
        "id": run.id,
        "model": run.model or run.title,
        "accuracy": _figure(accuracy) if accuracy else "",
        "baselines": ", ".join(
            f"{name} {figure['value']:.3f}" for name, figure in baselines.items() if figure["value"]
        ),
        "status": run.status,
        "align": quote(run.model or "", safe="") if run.makes_reward_model and run.status == "finished" else "",
    }


def _figure(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}), n = {figure['n']:,}"


def _curve(points: Sequence[Any]) -> Any:
    """Held-out accuracy against the number of pairs."""
    layout = plots.layout(height=260, showlegend=False)
    layout["xaxis"] = {"title": {"text": "Training pairs"}, "gridcolor": plots.GRID, "zeroline": False}
    layout["yaxis"] = {"title": {"text": "Held-out accuracy"}, "gridcolor": plots.GRID, "zeroline": False}
    layout["margin"] = {"l": 56, "r": 12, "t": 12, "b": 44}
    data = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [point.pairs for point in points],
        "y": [point.value for point in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [point.high - point.value for point in points],
            "arrayminus": [point.value - point.low for point in points],
            "color": plots.BLUE,
        },
        "line": {"color": plots.BLUE},
        "hovertemplate": "%{x:,} pairs: %{y:.3f}<extra></extra>",
    }
    return plots.figure([data], layout)


def study_learning_curve(lab: LabContext, values: Values) -> None:
    _start_study(lab, values, campaign_models.CURVE)


def study_labels(lab: LabContext, values: Values) -> None:
    annotator = values["outcome.annotator"]
    _start_study(lab, values, campaign_models.LABELS, [annotator] if annotator else [], values["outcome.labels"])


def _start_study(lab: LabContext, values: Values, *study: Any) -> None:
    """Starts a study with the plan of the newest reward model."""
    reward_model = campaign_models.of(lab, selected_campaign(values)).rewarded
    if reward_model is None:
        raise LabError("No reward model of this campaign has been trained yet; train one first.")
    campaign_models.study(lab, reward_model.id, *study)
    notice("Its runs are queued; their results appear here as they end.")


def _is_base(card: Any) -> bool:
    return card.has_weights and not card.is_adapter and card.family in ("decoder-only", "encoder", "classifier")


def export(lab: LabContext, file_format: str, content: str, values: Values) -> Updates:
    form, votes = values["outcome.form"], values["outcome.votes"]
    file = exporting.export_file(lab, selected_campaign(values), file_format, form=form, votes=votes, what=content)
    if file.dataset:
        notice(f"The {content} are saved as the dataset {file.dataset} too.")
    return {"outcome.file": gr.update(value=str(file.path), visible=True)}


def create_dataset(lab: LabContext, values: Values) -> None:
    dataset = exporting.to_dataset(lab, selected_campaign(values), votes=values["outcome.votes"])
    notice(f"{dataset.name} holds {dataset.rows:,} pairs; the Datasets page shows them.")


def train(lab: LabContext, objective: str, values: Values) -> Updates:
    """Exports the votes as the objective reads them and starts the run; the Fine-tune page shows its curves."""
    base = values["outcome.base"]
    if not base:
        raise LabError("No base is chosen; choose the model that learns from the votes.")
    method, votes = values["outcome.method"], values["outcome.votes"]
    run = campaign_models.train(lab, selected_campaign(values), base, objective=objective, method=method, votes=votes)
    notice(f"Run {run.run_id} trains {run.model}.")
    return {"outcome.started": {"run": run.run_id, "model": run.model}}
