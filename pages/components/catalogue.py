"""The models page's own pieces: the table, one model's facts, the memory bar and the list of downloads.

All text goes through `{{ }}`, which escapes it; model names and errors come from outside.
"""

import gradio as gr

from pages.components.head import html_part

_TABLE = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the catalogue</b><p>One moment.</p></div>
{{else if value.rows.length}}
<table class="models" data-ready="yes"><caption class="unseen">Models</caption>
<thead><tr><th scope="col">Model</th><th scope="col">Family</th><th scope="col" class="n">Parameters</th>
<th scope="col">Dtype</th><th scope="col" class="n">Disk</th><th scope="col" class="n">Memory</th>
<th scope="col" class="n">Context</th><th scope="col">Licence</th><th scope="col">Source</th>
<th scope="col">Hash</th><th scope="col">Status</th></tr></thead>
<tbody>{{#each value.rows}}<tr data-name="{{this.name}}" class="{{#if this.selected}}selected{{/if}}">
<th scope="row"><button type="button" aria-pressed="{{this.selected}}">{{this.name}}</button></th>
<td data-label="Family">{{this.family}}</td><td data-label="Parameters" class="n">{{this.parameters}}</td>
<td data-label="Dtype">{{this.dtype}}</td><td data-label="Disk" class="n">{{this.disk}}</td>
<td data-label="Memory" class="n">{{this.memory}}</td><td data-label="Context" class="n">{{this.context}}</td>
<td data-label="Licence">{{this.licence}}</td>
<td data-label="Source" class="clip" title="{{this.source}}">{{this.source}}</td>
<td data-label="Hash"><code>{{this.hash}}</code></td>
<td data-label="Status"><span class="state {{this.status}}">{{this.status}}</span></td></tr>{{/each}}</tbody></table>
{{else}}<div class="empty-state" data-ready="yes"><b>No models here</b><p>Add one below: by its Hub
id, its folder or the address of a server.</p></div>{{/if}}
"""
_TABLE_SCRIPT = """
let pressed = null;
element.addEventListener('click', e => {
  const row = e.target.closest('tr[data-name]');
  if (!row) return;
  pressed = e.target.closest('button') && row.dataset.name;
  history.replaceState(null, '', location.pathname + '?model=' + encodeURIComponent(row.dataset.name));
  trigger('select', { name: row.dataset.name });
});
watch('value', () => {
  if (pressed) element.querySelector(`tr[data-name="${CSS.escape(pressed)}"] button`)?.focus();
  pressed = null;
});
"""

_DETAIL = """
{{#if value.waiting}}{{else if value.name}}<div class="model-detail"><h2>{{value.name}}
<span class="state {{value.status}}">{{value.status}}</span></h2>
{{#if value.about}}<p>{{value.about}}</p>{{/if}}{{#if value.detail}}<p class="problem">{{value.detail}}</p>{{/if}}
<dl>{{#each value.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}</dl></div>
{{else}}<div class="empty-state"><b>No model selected</b><p>Select one in the table to see its details
and to load it.</p></div>
{{/if}}
"""

_SPEEDS = """
{{#if value.rows.length}}<table class="speeds"><caption>Tokens a second of {{value.name}} on this machine, one text at a
time</caption><thead><tr><th scope="col">Dtype</th><th scope="col">Device</th><th scope="col" class="n">Reads</th>
<th scope="col" class="n">Writes</th><th scope="col" class="n">Memory</th></tr></thead><tbody>
{{#each value.rows}}<tr class="{{#if this.taken}}selected{{/if}}"><th scope="row">{{this.dtype}}{{#if this.taken}}
<span class="state loaded">in use</span>{{/if}}</th><td>{{this.device}}</td><td class="n">{{this.read}}</td>
<td class="n">{{this.written}}</td><td class="n">{{this.memory}}</td></tr>{{/each}}</tbody></table>{{/if}}
"""

_BUDGET = """
<div class="budget"><div class="row"><span><b>{{value.used}}</b> of {{value.budget}} for loaded models</span>
<span>{{value.note}}</span></div>
<div class="bar" role="progressbar" aria-label="Memory used by loaded models" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{value.percent}}"><i style="width:{{value.percent}}%"></i></div>
{{#each value.loading}}<div class="row"><b>Loading {{this.name}}</b><span>{{this.text}}</span></div>
<div class="bar" role="progressbar" aria-label="Loading {{this.name}}" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>{{/each}}
<div class="row">{{#if value.loaded}}<span>{{value.loaded}}</span>{{else}}<span>No model is loaded; the first use of one
loads it.</span>{{/if}}</div></div>
"""

_DOWNLOADS = """
{{#if value.length}}<ul class="downloads tabular" aria-label="Downloads">{{#each value}}<li data-id="{{this.id}}">
<div class="row"><b>{{this.name}}</b><span>{{this.text}}</span></div>
<div class="bar" role="progressbar" aria-label="Download of {{this.name}}" aria-valuemin="0" aria-valuemax="100"
aria-valuenow="{{this.percent}}"><i style="width:{{this.percent}}%"></i></div>
{{#if this.error}}<p class="problem">{{this.error}}</p>{{/if}}
{{#if this.running}}<button type="button" data-do="cancel">Cancel</button>{{/if}}
{{#if this.stopped}}<button type="button" data-do="resume">Resume</button>{{/if}}</li>{{/each}}</ul>{{/if}}
"""
_DOWNLOADS_SCRIPT = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-do]');
  if (!button) return;
  const id = button.closest('li').dataset.id;
  if (button.dataset.do === 'cancel') trigger('cancel', { id }); else trigger('resume', { id });
});
"""


def model_table(elem_id: str) -> gr.HTML:
    """{rows: [{column: text}, ...]}, or {waiting: true}; its event `select` brings {name}."""
    return html_part({"waiting": True}, _TABLE, elem_id, _TABLE_SCRIPT, ["plain", "scroll-x"], sheet="catalogue.css")


def model_detail(elem_id: str) -> gr.HTML:
    """One model: {name, status, about, detail, facts: [[name, text], ...]}."""
    return html_part({"waiting": True}, _DETAIL, elem_id, sheet="catalogue.css")


def speed_table(elem_id: str) -> gr.HTML:
    """One model's speeds: {name, rows: [{dtype, device, read, written, memory, taken}]}; nothing without rows."""
    return html_part({"rows": []}, _SPEEDS, elem_id, sheet="catalogue.css")


def budget_bar(elem_id: str) -> gr.HTML:
    """The memory bar: {used, budget, percent, loaded, note, loading: [{name, text, percent}]}."""
    return html_part(
        {"used": "0 B", "budget": "–", "percent": 0, "loaded": "", "note": "", "loading": []},
        _BUDGET,
        elem_id,
        sheet="catalogue.css",
    )


def download_list(elem_id: str) -> gr.HTML:
    """Rows {id, name, text, percent, error, running, stopped}; events `cancel` and `resume` bring {id}."""
    return html_part([], _DOWNLOADS, elem_id, _DOWNLOADS_SCRIPT, sheet="catalogue.css")
