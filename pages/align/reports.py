"""The tab "What it learned": KL playground, reward-hacking card, toxicity before and after."""

from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import alignment, models
from genai_lab.services.alignment import hacking_card, playground, toxicity
from genai_lab.services.feedback import campaign_models
from pages.align import report_charts
from pages.align.panels import number_text
from pages.align.runs import SHEET, policy_run
from pages.components.errors import notice
from pages.components.forms import Form, Updates, Values
from pages.components.head import html_part
from pages.components.selection import Selection

CHOICE = """
{{#if value.note}}<p class="panel-note" role="status">{{value.note}}</p>{{/if}}
{{#each value.flags}}<p class="panel-note" role="alert">{{this}}</p>{{/each}}
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="What the checkpoint says">
<table class="grid" data-ready="yes"><thead><tr><th scope="col">Prompt</th><th scope="col">Base</th>
<th scope="col">Chosen checkpoint</th></tr></thead><tbody>{{#each value.rows}}<tr><td>{{this.prompt}}</td>
<td>{{this.before}}</td><td>{{this.after}}</td></tr>{{/each}}</tbody></table></div>{{/if}}
"""
CARD = """
{{#if value.note}}<p class="panel-note" role="status">{{value.note}}</p>{{/if}}
{{#if value.verdict}}<div class="section-head"><h2>Reward hacking: {{value.verdict}}</h2></div>
<p class="panel-note" role="status">{{value.sentence}}</p>
<div class="grid-scroll" tabindex="0" role="region" aria-label="Signals of reward hacking"><table class="grid"
data-verdict="{{value.verdict}}"><thead><tr><th scope="col">Figure</th><th scope="col">Base</th>
<th scope="col">Policy</th><th scope="col">Change, 95 % interval</th><th scope="col">p</th>
<th scope="col">Threshold</th><th scope="col">Raised</th></tr></thead><tbody>
{{#each value.rows}}<tr><td title="{{this.about}}">{{this.title}}</td><td>{{this.before}}</td><td>{{this.after}}</td>
<td>{{this.change}}</td><td>{{this.p}}</td><td>{{this.threshold}}</td><td>{{this.raised}}</td></tr>{{/each}}
</tbody></table></div>{{#each value.rates}}<p class="panel-note">{{this}}</p>{{/each}}{{/if}}
"""
TOXICITY = """
{{#if value.note}}<p class="panel-note" role="status">{{value.note}}</p>{{/if}}
{{#if value.rows.length}}<div class="grid-scroll" tabindex="0" role="region" aria-label="Toxicity before and after">
<table class="grid"><thead><tr><th scope="col">Figure</th><th scope="col">Base</th><th scope="col">Policy</th>
<th scope="col">Difference, 95 % interval</th><th scope="col">p</th></tr></thead><tbody>
{{#each value.rows}}<tr><td>{{this.title}}</td><td>{{this.before}}</td><td>{{this.after}}</td><td>{{this.change}}</td>
<td>{{this.p}}</td></tr>{{/each}}</tbody></table></div>
<p class="policy-links"><a href="/evaluate?run={{value.evaluation}}">The evaluation, row by row</a></p>{{/if}}
"""
INPUTS = ("run", "wl.beta")
PLAYGROUND = ("wl.plot", "wl.choice")
OUTPUTS = ("wl.mark", *PLAYGROUND, "wl.beta", "wl.card", "wl.toxicity")
NOTHING: Updates = {
    "wl.plot": gr.update(visible=False, value=None), "wl.choice": {}, "wl.card": {}, "wl.toxicity": {}, "wl.mark": ""
}  # fmt: skip


def build(lab: LabContext, page: Form, selection: Selection) -> None:
    """Draws and wires the tab; "run" of the page is the run that is open."""
    button: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 150}
    page.add({"wl.mark": gr.State("")})
    page.add(
        {
            "wl.beta": gr.Slider(
                0, 1, 0.05, label="KL weight (beta)", interactive=True, elem_id="al-beta",
                info="Chooses the checkpoint with the highest score - beta KL on the held-out prompts.",
            ),
            "wl.plot": gr.Plot(show_label=False, container=False, visible=False, elem_id="al-playground"),
            "wl.choice": html_part({}, CHOICE, "al-choice", sheet=SHEET),
        }
    )  # fmt: skip
    sample = gr.Button("Sample the base for the frontier", elem_id="al-sample-base", **button)
    page.add({"wl.card": html_part({}, CARD, "al-card", sheet=SHEET)})
    campaign = gr.Button("Let people decide, blind", elem_id="al-campaign", **button)
    page.add({"wl.toxicity": html_part({}, TOXICITY, "al-toxicity", sheet=SHEET)})
    with gr.Row():
        page.add(
            {
                "wl.classifier": gr.Dropdown(
                    [toxicity.CLASSIFIER], value=toxicity.CLASSIFIER, label="Classifier", interactive=True,
                    elem_id="al-classifier",
                ),
                "wl.completions": gr.Number(
                    toxicity.COMPLETIONS, precision=0, minimum=2, maximum=64, label="Completions per prompt",
                    elem_id="al-completions",
                ),
            }
        )  # fmt: skip
        measure = gr.Button("Measure toxicity before and after", elem_id="al-measure", **button)
    answer = selection.for_choice
    opened = page.on(page["run"].change, answer(clear), inputs=["run"], outputs=OUTPUTS)
    page.on(opened.success, answer(draw, lab), inputs=INPUTS, outputs=[*OUTPUTS, "wl.classifier"])
    page.on(gr.Timer(3).tick, answer(on_tick, lab), inputs=[*INPUTS, "wl.mark"], outputs=[*OUTPUTS, "wl.classifier"])
    page.on(
        page["wl.beta"].release, answer(on_beta, lab), inputs=INPUTS, outputs=PLAYGROUND, trigger_mode="always_last"
    )
    page.on(sample.click, answer(sample_base, lab), inputs=["run"], outputs=["wl.mark"])
    page.on(campaign.click, answer(begin_campaign, lab), inputs=["run"], outputs=["wl.mark"])
    page.on(
        measure.click, answer(measure_toxicity, lab), inputs=["run", "wl.classifier", "wl.completions"],
        outputs=["wl.mark"],
    )  # fmt: skip


def clear(values: Values) -> Updates:
    return NOTHING


def on_tick(lab: LabContext, values: Values) -> Updates:
    return {} if values["wl.mark"] == mark(lab, values["run"]) else draw(lab, values)


def mark(lab: LabContext, run: int | None) -> str:
    """Changes whenever the tab has something new to show."""
    view = policy_run(lab, run)
    if view is None:
        return repr((run, None))
    samples = playground.has_samples(lab, view.id)
    measured = [(item.id, item.status) for item in toxicity.find(lab, view.id)] if view.model else []
    return repr((run, alignment.steps(lab, view.id, "evaluations"), samples, measured))


def draw(lab: LabContext, values: Values) -> Updates:
    """Everything on the tab, of the run that is open."""
    run = values["run"]
    state = mark(lab, run)
    if policy_run(lab, run) is None:
        return {**NOTHING, "wl.mark": state, "wl.choice": {"note": "Choose a run on the tab Runs."}}
    classifiers = sorted(view.card.name for view in models.catalogue(lab) if view.card.role == "classify")
    return {
        **NOTHING,
        **_playground(lab, run, values["wl.beta"], move=True),
        "wl.card": card_value(lab, run),
        "wl.toxicity": toxicity_value(lab, run),
        "wl.classifier": gr.update(choices=classifiers or [toxicity.CLASSIFIER]),
        "wl.mark": state,
    }


def on_beta(lab: LabContext, values: Values) -> Updates:
    """Another weight of the KL: the checkpoint that it chooses."""
    if policy_run(lab, values["run"]) is None:
        return {}
    return _playground(lab, values["run"], values["wl.beta"])


def _playground(lab: LabContext, run: int, beta: float, move: bool = False) -> Updates:
    try:
        view, choice = playground.show(lab, run), playground.choose(lab, run, beta)
    except LabError as problem:
        return {"wl.plot": gr.update(visible=False, value=None), "wl.choice": {"note": str(problem)}}
    updates: Updates = {
        "wl.plot": gr.update(visible=True, value=report_charts.score_against_kl(view, choice)),
        "wl.choice": choice_value(view, choice),
    }
    if move:
        updates["wl.beta"] = gr.update(maximum=round(view.last_beta, 2), step=round(view.last_beta, 2) / 100)
    return updates


def choice_value(view: playground.Playground, choice: playground.Choice) -> dict[str, Any]:
    """What the chosen checkpoint says and costs."""
    flags = [
        f"Step {flag.step:,} lies {flag.excess:.2f} above the ideal frontier, at least {flag.low:.2f} by its interval: "
        "its KL or its score is measured wrongly."
        for flag in view.flags
    ]
    names = ("prompt", "before", "after")
    rows = [dict(zip(names, example, strict=True)) for example in choice.examples]
    return {"note": choice.sentence, "rows": rows, "flags": flags}


def card_value(lab: LabContext, run: int) -> dict[str, Any]:
    """The reward-hacking card for its template."""
    try:
        view = hacking_card.show(lab, run)
    except LabError as problem:
        return {"note": str(problem)}
    card = view.card
    rows = [
        {
            "title": "Score" if change is card.proxy else f"Gold: {change.label}", "about": "",
            "before": number_text(change.before), "after": number_text(change.after),
            "change": _change(change.comparison.difference, change.comparison.low, change.comparison.high),
            "p": f"{min(change.p_up, change.p_down):.2g}", "threshold": "", "raised": "",
        }
        for change in (card.proxy, card.gold) if change is not None
    ]  # fmt: skip
    for signal in card.signals:
        reading = signal.reading
        if reading is None or signal.p is None:
            continue
        rows.append(
            {
                "title": f"{signal.title} ({signal.unit})" if signal.unit else signal.title, "about": signal.about,
                "before": number_text(reading.before), "after": number_text(reading.after),
                "change": _change(reading.change, reading.low, reading.high), "p": f"{signal.p:.2g}",
                "threshold": signal.threshold, "raised": "raised" if signal.raised else "",
            }
        )  # fmt: skip
    return {
        "verdict": card.verdict, "sentence": card.sentence, "rows": rows,
        "rates": list(hacking_card.rate_sentences(view.rates)),
    }  # fmt: skip


def toxicity_value(lab: LabContext, run: int) -> dict[str, Any]:
    """The table before and after for its template."""
    if not toxicity.find(lab, run):
        return {"note": "Toxicity before and after was not measured yet."}
    table = toxicity.show(lab, run)
    if table.error or table.status != "finished":
        return {"note": table.error or f"Toxicity before and after: {table.status}."}
    rows = [
        {
            "title": row.title[:1].upper() + row.title[1:], "before": number_text(row.before.value),
            "after": number_text(row.after.value), "p": f"{row.comparison.p:.2g}",
            "change": _change(*(getattr(row.comparison.comparison, name) for name in ("difference", "low", "high"))),
        }
        for row in table.rows
    ]  # fmt: skip
    return {"note": table.sentence, "rows": rows, "evaluation": table.evaluation}


def sample_base(lab: LabContext, values: Values) -> Updates:
    """Queues the samples of the base; the chart gains the frontier when they are there."""
    playground.start(lab, _run_of(values))
    notice("The base is being sampled; the frontier appears in the chart.")
    return {}


def begin_campaign(lab: LabContext, values: Values) -> Updates:
    begun = campaign_models.before_and_after(lab, _run_of(values))
    notice(f"Campaign {begun.campaign} compares policy and base, blind; open it on the Feedback page.")
    return {}


def measure_toxicity(lab: LabContext, values: Values) -> Updates:
    """Queues completions of base and policy, and their evaluation."""
    toxicity.start(
        lab, _run_of(values), classifier=values["wl.classifier"], completions=int(values["wl.completions"] or 0)
    )
    notice("Base and policy are completing the same prompts; the table appears here.")
    return {}


def _run_of(values: Values) -> int:
    if values["run"] is None:
        raise LabError("No run is open; choose one on the tab Runs.")
    return int(values["run"])


def _change(change: float, low: float, high: float) -> str:
    return f"{change:+.3g} ({low:+.3g} to {high:+.3g})"
