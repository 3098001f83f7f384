"""The datasets page's own pieces. Texts in templates go through `{{ }}`; markup made here escapes every cell."""

import html
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import gradio as gr

from genai_lab.data import BadRow
from genai_lab.services.datasets import VersionView, text_of
from pages.components.head import empty_state_markup, html_part
from pages.components.stats import size_text
from pages.components.theme import ASSETS

MAX_CELL_CHARACTERS = 1_500
USES = (
    ("Use in matrix", "/prompts?tab=matrix&dataset="),
    ("Evaluate", "/evaluate?dataset="),
    ("Fine-tune", "/finetune?dataset="),
    ("Lineage", "/lineage?dataset="),
)
_TABLE = """
{{#if value.waiting}}<div class="empty-state"><b>Reading the datasets</b><p>One moment.</p></div>
{{else if value.rows.length}}<table class="sets" data-ready="yes"><caption class="unseen">Datasets</caption>
<thead><tr><th scope="col">Dataset</th><th scope="col" class="n">Rows</th><th scope="col">Splits</th>
<th scope="col">Roles</th><th scope="col">From</th></tr></thead>
<tbody>{{#each value.rows}}<tr data-name="{{this.name}}">
<th scope="row"><button type="button" aria-pressed="false">{{this.name}}</button>
<small>{{this.state}}</small></th><td class="n">{{this.rows}}</td><td>{{this.splits}}</td><td>{{this.roles}}</td>
<td>{{this.source}}</td></tr>{{/each}}</tbody></table>
{{#if value.more}}<p class="panel-note">{{value.more}}</p>{{/if}}
{{else}}<div class="empty-state" data-ready="yes"><b>{{value.title}}</b><p>{{value.next}}</p></div>{{/if}}
"""
_SELECT = """
element.addEventListener('click', e => {
  const row = e.target.closest('[data-name]');
  if (!row) return;
  history.replaceState(null, '', location.pathname + '?dataset=' + encodeURIComponent(row.dataset.name));
  trigger('select', { name: row.dataset.name });
});
const mark = () => {
  const shown = document.querySelector('#ds-detail [data-ready]')?.dataset.ready.split('@')[0];
  document.querySelectorAll('#ds-table tr[data-name]').forEach(row => {
    const own = row.dataset.name.split('@')[0] === shown;
    row.classList.toggle('selected', own);
    row.querySelector('button').setAttribute('aria-pressed', own);
  });
};
watch('value', mark);
mark();
"""
_DETAIL = """
{{#if value.name}}<div class="set-detail" data-ready="{{value.name}}"><h2>{{value.name}}</h2>
{{#if value.note}}<p class="problem">{{value.note}}</p>{{/if}}
<dl>{{#each value.facts}}<dt>{{this.[0]}}</dt><dd>{{this.[1]}}</dd>{{/each}}
<dt>Versions</dt><dd><ul class="versions">{{#each value.versions}}<li><button type="button"
data-name="{{this.name}}" aria-pressed="{{this.selected}}">@{{this.number}}: {{this.rows}} rows</button>
{{#each this.uses}}<a href="{{this.address}}" aria-label="{{this.label}}">{{this.title}}</a>{{/each}}</li>{{/each}}
</ul></dd></dl></div>{{/if}}
"""
OPEN_ROWS = """
element.addEventListener('click', e => {
  const button = e.target.closest('button[data-row]');
  if (!button) return;
  const open = button.closest('tr').classList.toggle('open');
  button.setAttribute('aria-expanded', open);
});
"""


def table(elem_id: str) -> gr.HTML:
    """{rows: [{name, state, rows, splits, roles, source}]}; its event `select` brings {name}."""
    return html_part({"waiting": True}, _TABLE, elem_id, _SELECT, ["plain", "scroll-x"], sheet="datasets.css")


def detail(elem_id: str) -> gr.HTML:
    """{name, note, facts: [[name, text]], versions: [{name, number, rows, selected, uses: [{title, address, label}]}]};
    `select` brings {name}.
    """
    return html_part({}, _DETAIL, elem_id, _SELECT, sheet="datasets.css")


def markup(elem_id: str, script: str | None = None) -> gr.HTML:
    """A component for markup made in this room, whose every cell is escaped."""
    return gr.HTML(
        "",
        css_template=(ASSETS / "datasets.css").read_text(),
        js_on_load=script,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["plain"],
    )


def short(markup: str) -> str:
    """This markup in a box that scrolls."""
    return f'<div class="short">{markup}</div>'


def listing(views: Sequence[VersionView], total: int, search: str) -> dict[str, Any]:
    title, sentence = "Nothing found", "No dataset name contains all of these words; try fewer."
    if not search:
        title, sentence = ("No datasets yet", "Import one: a starter task takes one click.")
    return {
        "title": title,
        "next": sentence,
        "more": f"The newest {len(views)} of {total}; search to find the others." if total > len(views) else "",
        "rows": [
            {
                "name": view.name,
                "state": "archived" if view.archived else "",
                "rows": f"{view.rows:,}",
                "splits": splits_text(view),
                "roles": ", ".join(view.roles),
                "source": source_text(view.source),
            }
            for view in views
        ],
    }


def facts(view: VersionView, versions: Sequence[VersionView]) -> dict[str, Any]:
    table = {
        "Rows": f"{view.rows:,}",
        "Splits": splits_text(view),
        "Roles": "; ".join(f"{role}: {', '.join(names)}" for role, names in view.roles.items()) or "none",
        "Columns": ", ".join(view.column_names),
        "From": source_text(view.source),
        "Size": size_text(view.bytes),
        "Hash": view.content_hash,
        "Created": f"{view.created_at:%Y-%m-%d %H:%M} UTC by run {view.made_by_run_id}",
    }
    if view.notes:
        table["Notes"] = " ".join(view.notes)
    listed = [
        {
            "name": version.name,
            "number": version.number,
            "rows": f"{version.rows:,}",
            "selected": version.id == view.id,
            "uses": [] if view.archived else [_use(version, title, address) for title, address in USES],
        }
        for version in versions
    ]
    note = "This dataset is archived; Undo archive brings it back." if view.archived else ""
    return {
        "name": view.name,
        "note": note,
        "facts": [[name, text] for name, text in table.items()],
        "versions": listed,
    }


def _use(view: VersionView, title: str, address: str) -> dict[str, str]:
    return {"title": title, "address": f"{address}{quote(view.name)}", "label": f"{title}: {view.name}"}


def rows_markup(view: VersionView, rows: Sequence[Mapping[str, Any]], first: int, total: int) -> str:
    """A page of rows, every cell as it was imported; long ones are cut and say so."""
    if not rows:
        return empty_state_markup("No rows here", "This split has no rows; choose another.")
    role_of = {name: role for role, names in view.roles.items() for name in names}
    names = [*view.column_names, *(["_split"] if len(view.splits) > 1 else [])]
    count = f"Rows {first + 1:,} to {first + len(rows):,} of {total:,}"
    return f'<p class="panel-note" role="status">{count}</p>' + grid(rows, names, "Rows of the dataset", role_of)


def grid(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], label: str, role_of: Mapping[str, str] | None = None
) -> str:
    """A scrolling table of cells; rows carry their number under "_row"."""
    heads = "".join(f'<th scope="col">{_head(name, (role_of or {}).get(name))}</th>' for name in names)
    lines = []
    for row in rows:
        cells = "".join(f"<td>{_cell(row[name]) if name in row else _absent()}</td>" for name in names)
        number = (
            f'<button type="button" data-row="{row["_row"]}" aria-expanded="false" '
            f'aria-label="Show all of row {row["_row"]}">{row["_row"]:,}</button>'
        )
        lines.append(f"<tr><td>{number}</td>{cells}</tr>")
    return (
        f'<div class="grid-scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="grid cells"><thead><tr><th scope="col">Row</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def bad_markup(bad: Sequence[BadRow], count: int, about: str = "") -> str:
    """The rows that cannot be read, each with number, column and reason."""
    lines = "".join(
        f"<tr><td>{row.number:,}</td><td>{html.escape(row.column or 'whole row')}</td>"
        f"<td>{html.escape(row.reason)}</td></tr>"
        for row in bad
    )
    noun = "row" if count == 1 else "rows"
    suffix = f"; the first {len(bad)} of them:" if count > len(bad) else ":"
    title = f"{count:,} {noun} cannot be read{f' in {about}' if about else ''}{suffix}"
    return (
        f'<div class="bad" role="alert"><b>{html.escape(title)}</b><div class="grid-scroll" tabindex="0" role="region" '
        'aria-label="Rows that cannot be read"><table class="grid"><thead><tr><th scope="col">Row</th>'
        f'<th scope="col">Column</th><th scope="col">Reason</th></tr></thead><tbody>{lines}</tbody></table></div></div>'
    )


def question_markup(sentence: str) -> str:
    return f'<div class="bad" role="alert"><b>{html.escape(sentence)}</b></div>'


def note_markup(text: str) -> str:
    return f'<p class="panel-note" role="status">{html.escape(text)}</p>' if text else ""


def splits_text(view: VersionView) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in view.splits.items())


def source_text(source: Mapping[str, Any]) -> str:
    kind = source.get("kind", "")
    if kind == "hub":
        parts = [source.get("configuration"), source.get("split")]
        return f"Hub: {source.get('repo')}" + "".join(f" / {part}" for part in parts if part)
    if kind == "starter":
        return f"starter task {source.get('task')}, seed {source.get('seed')}"
    if kind == "split":
        return f"{source.get('of')} in other splits"
    return f"{kind}: {source['name']}" if source.get("name") else kind


def _head(name: str, role: str | None) -> str:
    chip = f'<span class="role">{html.escape(role)}</span>' if role else ""
    return html.escape("split" if name == "_split" else name) + chip


def _cell(value: Any) -> str:
    if value is None:
        return _absent()
    text = text_of(value)
    cut = f"… ({len(text):,} characters)" if len(text) > MAX_CELL_CHARACTERS else ""
    return f'<div class="cell">{html.escape(text[:MAX_CELL_CHARACTERS])}{cut}</div>'


def _absent() -> str:
    return '<span class="none">–</span>'
