"""The prompt lab's own pieces: the library, a filled prompt, versions, a difference. All text goes through `{{ }}`."""

from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.prompts import Filled
from genai_lab.prompts.few_shot import ShotSettings, needs_embedder
from genai_lab.services import embedding
from genai_lab.services.templates import TemplateView
from pages.components.head import html_part
from pages.components.settings_inputs import Updates, Values, draw_settings

EMBEDDING = ("embedder", "diversity")

_SHELF = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the library</b><p>One moment.</p></div>
{{else if value.groups.length}}<nav class="shelf" aria-label="Templates" data-ready="yes">
{{#each value.groups}}<section><h3>{{this.task}}</h3><ul>{{#each this.rows}}<li>
<button type="button" data-name="{{this.name}}" aria-pressed="{{this.selected}}"><span>{{this.name}}</span>
<small>{{this.note}}</small></button></li>{{/each}}</ul></section>{{/each}}</nav>
{{else}}<div class="empty-state" data-ready="yes"><b>{{value.title}}</b><p>{{value.next}}</p></div>{{/if}}
"""
_SHELF_SCRIPT = """
let pressed = null;
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-name]');
  if (!button) return;
  pressed = button.dataset.name;
  history.replaceState(null, '', location.pathname + '?template=' + encodeURIComponent(pressed));
  trigger('select', { name: pressed });
});
watch('value', () => {
  if (pressed) element.querySelector(`button[data-name="${CSS.escape(pressed)}"]`)?.focus();
  pressed = null;
});
"""

_FILLED = """
<div class="filled" role="region" aria-label="Filled prompt" tabindex="0" data-state="{{value.state}}">
{{#if value.problem}}<p class="problem" role="status">{{value.problem}}</p>
{{else if value.turns}}{{#each value.turns}}<div class="turn {{this.role}}"><b>{{this.role}}</b>
<p>{{this.text}}</p></div>{{/each}}
{{else}}<div class="plain-text">{{#each value.parts}}<span class="{{this.kind}}">{{this.text}}</span>{{/each}}</div>
{{/if}}</div>{{#if value.note}}<p class="said" role="status">{{value.note}}</p>{{/if}}
"""

_VERSIONS = """
{{#if value.rows.length}}<table class="versions"><caption class="unseen">Versions of {{value.name}}</caption>
<thead><tr><th scope="col">Version</th><th scope="col">When (UTC)</th><th scope="col">Message</th>
<th scope="col">Tags</th><th scope="col">Runs</th><th scope="col">Difference</th></tr></thead>
<tbody>{{#each value.rows}}<tr class="{{#if this.selected}}selected{{/if}}" data-number="{{this.number}}"
data-name="{{this.name}}">
<th scope="row"><button type="button" data-do="open" aria-label="Open version {{this.number}}"
aria-pressed="{{this.selected}}">@{{this.number}}</button></th>
<td>{{this.when}}</td><td>{{this.message}}</td><td>{{#each this.tags}}<span class="tag">{{this}}</span>{{/each}}</td>
<td>{{this.runs}}</td><td><button type="button" data-do="compare"
aria-label="Difference from version {{this.number}} to this text">to this text</button></td></tr>{{/each}}
</tbody></table>
{{else}}<div class="empty-state"><b>Not saved yet</b><p>Give it a name and press Save version; every version
stays as it is.</p></div>{{/if}}
"""
_VERSIONS_SCRIPT = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-do]');
  if (!button) return;
  const { name, number } = button.closest('tr').dataset;
  if (button.dataset.do === 'compare') return trigger('compare', { number });
  history.replaceState(null, '', `${location.pathname}?template=${encodeURIComponent(name)}@${number}`);
  trigger('select', { number });
});
"""

_DIFFERENCE = """
{{#if value.title}}<p class="said" role="status">{{value.title}}</p>{{/if}}
{{#if value.lines.length}}<div class="difference" role="region" aria-label="Difference" tabindex="0"><pre>
{{#each value.lines}}<span class="{{this.kind}}">{{this.text}}</span>{{/each}}</pre></div>{{/if}}
"""


def library(elem_id: str) -> gr.HTML:
    """{groups: [{task, rows: [{name, note, selected}]}]} or {waiting: true}; its event `select` brings {name}."""
    return html_part({"waiting": True}, _SHELF, elem_id, _SHELF_SCRIPT, sheet="prompts.css")


def filled_prompt(elem_id: str) -> gr.HTML:
    """{parts: [{kind, text}]}, {turns: [{role, text}]} or {problem}; `note` stands below."""
    return html_part({"parts": [], "state": "waiting"}, _FILLED, elem_id, sheet="prompts.css")


def version_table(elem_id: str) -> gr.HTML:
    """{name, rows: [{number, when, message, tags, runs, selected}]}; events `select` and `compare` bring {number}."""
    return html_part({"rows": []}, _VERSIONS, elem_id, _VERSIONS_SCRIPT, ["plain", "scroll-x"], sheet="prompts.css")


def difference(elem_id: str) -> gr.HTML:
    """{title, lines: [{kind, text}]}."""
    return html_part({"title": "", "lines": []}, _DIFFERENCE, elem_id, sheet="prompts.css")


def library_value(
    views: Sequence[TemplateView], selected_name: str, *, archived: bool, searched: bool
) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for view in views:
        note = ", ".join((f"@{view.number}", *view.tags))
        row = {"name": view.template, "note": note, "selected": view.template == selected_name}
        groups.setdefault(view.task or "no task", []).append(row)
    empty = {"title": "No templates here", "next": "Press New, write an instruction and save it."}
    if searched:
        empty = {"title": "Nothing found", "next": "No name or task contains all of these words; try fewer."}
    elif archived:
        empty = {"title": "Nothing is archived", "next": "Archived templates stay here until they are restored."}
    return {"groups": [{"task": task, "rows": rows} for task, rows in groups.items()], **empty}


def filled_value(filled: Filled, k: int | None = None, note: str = "") -> dict[str, Any]:
    """A prompt with its parts told apart; of its shots only the first `k` go in."""
    fits = len(filled.shots) if k is None else k
    rendered = filled.rendered(fits)
    if rendered.messages:
        turns = [{"role": message["role"], "text": message["content"]} for message in rendered.messages]
        return {"turns": turns, "note": note, "state": "ready"}
    named = [("system", filled.system)] if filled.system else []
    named += [("shot" if index < fits else "left-out", text) for index, text in enumerate(filled.shots)]
    parts: list[dict[str, str]] = []
    for kind, text in [*named, ("instruction", filled.instruction)]:
        parts += [{"kind": "between", "text": filled.separator}] if parts else []
        parts.append({"kind": kind, "text": text})
    return {"parts": parts, "note": note, "state": "ready"}


def problem_value(sentence: str) -> dict[str, Any]:
    return {"problem": sentence, "state": "problem"}


def versions_value(views: Sequence[TemplateView], uses: dict[int, int], number: int | None) -> dict[str, Any]:
    rows = [
        {
            "name": view.template,
            "number": view.number,
            "when": f"{view.created_at:%Y-%m-%d %H:%M}",
            "message": view.message,
            "tags": list(view.tags),
            "runs": uses.get(view.number, 0),
            "selected": view.number == number,
        }
        for view in views
    ]
    return {"name": views[0].template if views else "", "rows": rows}


def difference_value(text: str, title: str) -> dict[str, Any]:
    kinds = {"+": "added", "-": "gone", "@": "place"}
    lines = [{"kind": kinds.get(line[:1], "same"), "text": line} for line in text.split("\n")[2:]] if text else []
    return {"title": title, "lines": lines}


def embedding_inputs(prefix: str) -> dict[str, Any]:
    """What shots chosen by meaning need; shown for ways of choosing that compare vectors."""
    inputs = draw_settings(ShotSettings, EMBEDDING, prefix=prefix, more="", across=2)
    for component in inputs.values():
        component.visible = False
    return inputs


def show_embedding(selectors: Iterable[str | None]) -> Updates:
    """Shows the inputs for shots by meaning where one of the ways needs them."""
    visible = any(needs_embedder(selector) for selector in selectors if selector)
    return dict.fromkeys(EMBEDDING, gr.update(visible=visible))


def load_embedding(lab: LabContext, values: Values, selectors: Iterable[str | None]) -> Updates:
    """The same with what can be chosen now, and the values of a draft."""
    visible = any(needs_embedder(selector) for selector in selectors if selector)
    return {
        "embedder": gr.update(choices=["", *embedding.names(lab)], value=values["embedder"], visible=visible),
        "diversity": gr.update(value=values["diversity"], visible=visible),
    }
