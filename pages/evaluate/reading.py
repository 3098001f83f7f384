"""Reading an evaluation row by row: wins, losses and ties of two systems, and what matches the reference."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.services import evaluation as service
from genai_lab.services.evaluation import reading, report
from pages.components.errors import PRIVATE, guarded
from pages.components.head import PLAIN, empty_state_markup
from pages.evaluate.results import unpacked

PAGE = 25
ORDERS = (
    ("Largest difference", "difference"),
    ("B wins", "wins"),
    ("B loses", "losses"),
    ("Ties", "ties"),
    ("Worst of B", "worst"),
    ("Longest of B", "longest"),
)
EMPTY = empty_state_markup(
    "Nothing to read yet", "Open an evaluation; its rows appear here, the largest differences first."
)
PICK = """
element.addEventListener('click', event => {
  const row = event.target.closest('tr[data-row]');
  if (row) trigger('select', { row: row.dataset.row });
});
"""
SHOW = "watch('value', () => props.value && element.scrollIntoView({ block: 'nearest', behavior: 'smooth' }));"
Update = Any


def build(lab: LabContext, opened: gr.State, figure: gr.Dropdown) -> list[Any]:
    """The tab; returns the inputs whose change draws it again, what is drawn, and what `sides` fills."""
    place, shown_row = gr.State(0), gr.State(None)
    with gr.Row(elem_classes=["actions"], visible=False) as chooser:
        a = gr.Dropdown([], label="A", interactive=True, elem_id="ev-a", min_width=220)
        b = gr.Dropdown([], label="B", interactive=True, elem_id="ev-b", min_width=220)
        order = gr.Dropdown(list(ORDERS), value="difference", label="Show", interactive=True, elem_id="ev-order")
    table = gr.HTML(
        EMPTY, js_on_load=PICK, apply_default_css=False, elem_classes=PLAIN, elem_id="ev-rows", css_template=LOOK
    )
    with gr.Row(elem_classes=["actions"], visible=False) as turning:
        back = gr.Button("Back", size="sm", scale=0, min_width=70, elem_id="ev-back")
        more = gr.Button("More", size="sm", scale=0, min_width=70, elem_id="ev-more")
    detail = gr.HTML(
        "", apply_default_css=False, elem_classes=PLAIN, js_on_load=SHOW, elem_id="ev-row", css_template=MARKS
    )
    inputs = [opened, figure, a, b, order]
    drawn = [table, detail, place]
    for one in (a, b, order):
        one.input(guarded(draw, lab, 0), inputs, drawn, **PRIVATE)
    back.click(guarded(turned, lab, -1), [place, *inputs], drawn, **PRIVATE)
    more.click(guarded(turned, lab, 1), [place, *inputs], drawn, **PRIVATE)
    table.select(guarded(row_shown, lab), inputs, [detail, shown_row], **PRIVATE)
    return [inputs, drawn, [a, b, chooser, turning]]


LOOK = "table.lines tr[data-row] { cursor: pointer; } table.lines td.num { text-align: right; white-space: nowrap; }"
MARKS = """
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 12px; }
.pair pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font-size: 12.5px; line-height: 1.6; }
.pair mark { background: color-mix(in srgb, var(--color-accent) 22%, transparent); color: inherit; border-radius: 3px; }
.pair u { text-decoration: underline 2px color-mix(in srgb, #10b981 80%, transparent); text-underline-offset: 3px; }
"""


def sides(lab: LabContext, run_id: int | None) -> Sequence[Update]:
    """The choices of A (the baseline) and B (the last other system); nothing to choose where nothing is open."""
    if not run_id:
        none, hidden = gr.update(choices=[], value=None), gr.update(visible=False)
        return none, none, hidden, hidden
    view = service.show(lab, run_id)
    names = [(one.label, one.id) for one in view.systems]
    others = [one.id for one in view.systems if one.id != view.baseline]
    first, second = view.baseline, (others or [view.baseline])[-1]
    seen = gr.update(visible=True)
    return gr.update(choices=names, value=first), gr.update(choices=names, value=second), seen, seen


def draw(
    lab: LabContext, place: int, run_id: int | None, packed: str | None, a: int | None, b: int | None, order: str
) -> Sequence[Update]:
    if not run_id or not packed or not a or not b:
        return EMPTY, "", 0
    view, key = service.show(lab, run_id), unpacked(packed)
    better = figure_of(key[0], key[1]).higher_is_better
    every = reading.lines(lab, view, key, a, b)
    found = reading.ordered(every, order, better)  # type: ignore[arg-type]
    place = min(max(place, 0), max(0, (len(found) - 1) // PAGE))
    counts = reading.tally(every, better)
    return _table(found, place, counts, (view.system(a).label, view.system(b).label)), "", place


def turned(lab: LabContext, way: int, place: int, *inputs: Any) -> Sequence[Update]:
    return draw(lab, place + way, *inputs)


def row_shown(
    lab: LabContext, run_id: int, packed: str, a: int, b: int, order: str, event: gr.EventData
) -> Sequence[Update]:
    """Two completions beside each other, with what they share with the reference marked."""
    view, key = service.show(lab, run_id), unpacked(packed)
    wanted = int(event.row)
    line = next((one for one in reading.lines(lab, view, key, a, b) if one.example == wanted), None)
    if line is None:
        raise LabError(f"Row {wanted + 1} is not in this evaluation; choose another.")
    reference = line.references[0] if line.references else ""
    parts = []
    for place, system in enumerate((a, b)):
        label = html.escape(view.system(system).label)
        parts.append(
            f"<div><h3>{'AB'[place]}: {label} <small>{report.number(line.values[place])}</small></h3>"
            f"<pre>{_marked(line.texts[place], reference)}</pre></div>"
        )
    shown = html.escape("\n— or —\n".join(line.references)) or "–"
    head = (
        f"<h3>Row {line.example + 1}</h3><p class='panel-note'><mark>n-grams of the reference</mark> "
        "<u>longest common subsequence</u></p>"
    )
    return (
        f"<section aria-live='polite'>{head}<div class='pair'>"
        f"<div><h3>Input</h3><pre>{html.escape(line.source)}</pre></div>"
        f"<div><h3>Reference</h3><pre>{shown}</pre></div>{''.join(parts)}</div></section>",
        wanted,
    )


def _marked(text: str, reference: str) -> str:
    """The text escaped, with matched n-grams as <mark> and the common subsequence as <u>."""
    from genai_lab.evaluation.matching import matches

    found = matches(text, reference)
    inside = [set(), set()]  # type: list[set[int]]
    for kind, spans in enumerate((found.ngrams, found.lcs)):
        for low, high in spans:
            inside[kind].update(range(low, high))
    made, before = [], (False, False)
    for place, letter in enumerate(text):
        now = (place in inside[0], place in inside[1])
        if now != before:
            made.append(("</u>" if before[1] else "") + ("</mark>" if before[0] and not now[0] else ""))
            made.append(("<mark>" if now[0] and not before[0] else "") + ("<u>" if now[1] else ""))
            before = now
        made.append(html.escape(letter))
    return "".join([*made, "</u>" if before[1] else "", "</mark>" if before[0] else ""])


def _table(found: Sequence[reading.Line], place: int, counts: dict[str, int], names: tuple[str, str]) -> str:
    words = f"B wins {counts['wins']:,}, loses {counts['losses']:,}, ties {counts['ties']:,}"
    if not found:
        return f'<p class="quiet" role="status">{words}</p>' + empty_state_markup(
            "No such rows", "Choose another order."
        )
    first = place * PAGE
    shown = found[first : first + PAGE]
    head = "".join(
        f'<th scope="col">{html.escape(name)}</th>'
        for name in ("Row", "Input", "Reference", f"A: {names[0]}", f"B: {names[1]}", "A", "B", "B - A")
    )
    rows = "".join(map(_line, shown))
    return (
        f'<p class="quiet" role="status">{words}. Rows {first + 1:,} to {first + len(shown):,} of {len(found):,}; '
        'choose one to see it whole.</p><div class="grid-scroll" tabindex="0" role="region" aria-label="Rows">'
        f'<table class="grid runs lines"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _line(line: reading.Line) -> str:
    texts = (line.source, line.references[0] if line.references else "–", *line.texts)
    cells = "".join(f"<td><span>{html.escape(text[:300])}</span></td>" for text in texts)
    figures = "".join(f"<td class='num'>{report.number(one)}</td>" for one in (*line.values, line.difference))
    button = f'<button type="button" aria-label="Show row {line.example + 1}">{line.example + 1}</button>'
    return f'<tr data-row="{line.example}"><td>{button}</td>{cells}{figures}</tr>'
