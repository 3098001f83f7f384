"""The pieces of the Recipes page: the list, what a recipe does, and its answer. All text goes through `{{ }}`."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics import METRICS
from genai_lab.recipes import RECIPES, Recipe, all_recipes
from genai_lab.services.recipes import Answer, AnswerRow
from pages.components.head import html_part
from pages.components.recipe_links import address_of

_LIST = """
<ul class="recipe-list" aria-label="Recipes">{{#each value}}<li class="{{this.state}}">
<a href="{{this.address}}"{{#if this.state}} aria-current="true"{{/if}}>{{this.title}}</a>
<p>{{this.question}}</p></li>{{/each}}</ul>
"""
_PLAN = """
{{#if value.question}}<div class="recipe-plan"><p>{{value.question}}</p>
<dl>{{#each value.facts}}<dt>{{this.name}}</dt><dd>{{#if this.address}}<a href="{{this.address}}"
rel="noreferrer">{{this.text}}</a>{{else}}{{this.text}}{{/if}}</dd>{{/each}}</dl></div>{{/if}}
"""
_NOTE = '{{#if value}}<p class="recipe-note" role="status">{{value}}</p>{{/if}}'
_ANSWER = """
{{#if value.title}}<div class="answer" data-run="{{value.run}}" data-status="{{value.status}}"><h2>{{value.title}}</h2>
<p class="about">{{value.about}}</p>
{{#if value.error}}<p class="problem">{{value.error}}</p>{{/if}}
<div role="status">{{#if value.short}}<p class="short">{{value.short}}</p>{{/if}}
{{#each value.sentences}}<p class="said">{{this}}</p>{{/each}}</div>
<table><caption class="unseen">{{value.figure}} with 95 % intervals</caption>
<thead><tr><th scope="col">System</th><th scope="col">{{value.figure}}</th><th scope="col">95 % interval</th>
<th scope="col">n</th><th scope="col" aria-hidden="true"></th></tr></thead>
<tbody>{{#each value.rows}}<tr class="{{this.state}}"><th scope="row">{{this.label}}</th><td>{{this.value}}</td>
<td>{{this.ends}}</td><td>{{this.n}}</td><td class="interval" aria-hidden="true">{{#if this.width}}
<span class="axis"><i style="left:{{this.left}}%;width:{{this.width}}%"></i><b style="left:{{this.at}}%"></b>
{{#if this.baseline}}<u style="left:{{this.baseline}}%"></u>{{/if}}</span>{{/if}}</td></tr>{{/each}}</tbody></table>
{{#if value.verdicts.length}}<details open><summary>{{value.compared}}</summary>{{#each value.verdicts}}
<p class="verdict">{{this}}</p>{{/each}}</details>{{/if}}
<nav aria-label="Further">{{#each value.links}}<a href="{{this.address}}">{{this.text}}</a>{{/each}}</nav></div>
{{else}}<div class="empty-state"><b>No answer yet</b><p>{{value.next}}</p></div>{{/if}}
"""
NO_ANSWER = {"title": "", "next": "Choose a file with the data, then press Run recipe. The answer appears here."}


def draw_list() -> gr.HTML:
    return html_part([], _LIST, "rc-list", sheet="recipes.css")


def draw_plan() -> gr.HTML:
    return html_part({}, _PLAN, "rc-plan", sheet="recipes.css")


def draw_note(elem_id: str) -> gr.HTML:
    return html_part("", _NOTE, elem_id, sheet="recipes.css")


def draw_answer() -> gr.HTML:
    return html_part(NO_ANSWER, _ANSWER, "rc-answer", sheet="recipes.css")


def list_value(selected: str) -> list[dict[str, Any]]:
    return [
        {
            "title": recipe.title,
            "question": recipe.question,
            "address": address_of(recipe),
            "state": "selected" if recipe.name == selected else "",
        }
        for recipe in all_recipes()
    ]


def plan_value(recipe: Recipe, has_data: bool) -> dict[str, Any]:
    """What the recipe asks, of which data, with which settings; with data, also where the plan stands in a form."""
    data = recipe.data
    columns = ", ".join(f"{role}: {' or '.join(names[:3])}" for role, names in data.columns.items())
    facts = [
        ("Data", data.about, data.published_at),
        ("Licence", data.licence, ""),
        ("Columns", columns, ""),
        ("Labels", ", ".join(data.labels), ""),
        ("On the Hub", data.hub.repo if data.hub else "", ""),
        ("Template", recipe.template, f"/prompts?template={recipe.template}"),
        ("Form", "as each model does it best" if recipe.format == "by model" else recipe.format, ""),
        ("Shots", _shots_text(recipe), ""),
        ("Methods", " against ".join(recipe.tuning.methods) if recipe.tuning else "", ""),
        ("Forgetting", ", ".join(recipe.tuning.suites) + " suites" if recipe.tuning else "", ""),
        ("Metric", _metric_text(recipe), ""),
        ("Change it", "the plan as a form" if has_data else "", f"/{recipe.page}?recipe={recipe.name}"),
    ]
    return {
        "question": recipe.question,
        "facts": [{"name": name, "text": text, "address": address} for name, text, address in facts if text],
    }


def _shots_text(recipe: Recipe) -> str:
    if recipe.tuning:
        return ""
    return f"{', '.join(map(str, recipe.shots))}, {recipe.selector}, seed {recipe.seed}"


def _metric_text(recipe: Recipe) -> str:
    titles = ", ".join(METRICS.get(spec.metric).title for spec in recipe.metrics)
    title = figure_of(recipe.metrics[0].metric, recipe.figure).title
    return titles if title == titles else f"{titles}: {title}"


def answer_value(answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        return NO_ANSWER
    recipe = RECIPES.get(answer.recipe)
    links = [{"text": "Every row, test and chart", "address": f"/evaluate?evaluation={answer.evaluation}"}]
    if answer.study is not None:
        links.append({"text": "The runs and their curves", "address": f"/finetune?study={answer.study}"})
    if answer.forgetting is not None:
        links.append({"text": "What was forgotten", "address": f"/finetune?study={answer.forgetting}"})
    low, high = _range(recipe, answer.rows)
    short, *others = answer.sentences or ("",)
    return {
        "title": recipe.title,
        "run": answer.run_id,
        "status": answer.status,
        "about": f"On {answer.dataset}, {answer.status}",
        "error": answer.error,
        "short": short,
        "sentences": others,
        "figure": answer.figure,
        "rows": [_row(row, low, high, answer.baseline) for row in answer.rows],
        "verdicts": answer.verdicts,
        "compared": "LoRA and full fine-tuning side by side" if answer.study else "The others against the best",
        "links": links,
    }


def _range(recipe: Recipe, rows: Sequence[AnswerRow]) -> tuple[float, float]:
    """The ends of the axis that intervals are drawn on: the figure's own for shares, else what the rows need."""
    figure = figure_of(recipe.metrics[0].metric, recipe.figure)
    if recipe.data.labels and figure.low is not None and figure.high is not None:
        return figure.low, figure.high
    return 0.0, max((row.high or 0.0 for row in rows), default=1.0) * 1.1 or 1.0


def _row(row: AnswerRow, low: float, high: float, baseline: float | None) -> dict[str, Any]:
    if row.value is None or row.low is None or row.high is None:
        return {"label": row.label, "value": "–", "ends": f"{row.n:,} answered", "n": "", "width": "", "state": ""}

    def share(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.1f}"

    return {
        "label": row.label,
        "value": _number(row.value),
        "ends": f"{_number(row.low)} to {_number(row.high)}",
        "n": f"{row.n:,}",
        "left": share(row.low),
        "width": f"{max(0.5, float(share(row.high)) - float(share(row.low))):.1f}",
        "at": share(row.value),
        "baseline": "" if baseline is None else share(baseline),
        "state": "best" if row.best else "",
    }


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
