"""An evaluation row by row: wins, losses and ties of two systems, and what their texts share with the reference."""

import html
from collections.abc import Sequence

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.evaluation.figures import figure_of
from genai_lab.services import evaluation as service
from genai_lab.services.evaluation import reading, report
from pages.components.forms import Form
from pages.components.head import PLAIN, empty_state_markup
from pages.components.settings_inputs import Updates, Values
from pages.evaluate.results import unpack_key

PAGE_SIZE = 25
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
LOOK = "table.lines tr[data-row] { cursor: pointer; } table.lines td.num { text-align: right; white-space: nowrap; }"
MARKS = """
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 12px; }
.pair pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font-size: 12.5px; line-height: 1.6; }
.pair ol { margin: 0; padding-left: 22px; }
.pair mark { background: color-mix(in srgb, var(--color-accent) 22%, transparent); color: inherit; border-radius: 3px; }
.pair u { text-decoration: underline 2px color-mix(in srgb, #10b981 80%, transparent); text-underline-offset: 3px; }
"""
INPUTS = ["run_id", "figure", "a", "b", "order"]
PANELS = ["rows", "row_detail", "row_page"]
EMPTY_PANELS: Updates = {"rows": EMPTY, "row_detail": "", "row_page": 0}
CHOICES = ["a", "b", "row_choices", "row_buttons"]


def build(lab: LabContext, form: Form) -> None:
    """Draws the tab and adds its components to the page's form."""
    with gr.Row(elem_classes=["actions"], visible=False) as row_choices:
        form.add(
            a=gr.Dropdown([], label="A", interactive=True, elem_id="ev-a", min_width=220),
            b=gr.Dropdown([], label="B", interactive=True, elem_id="ev-b", min_width=220),
            order=gr.Dropdown(list(ORDERS), value="difference", label="Show", interactive=True, elem_id="ev-order"),
        )
    table = gr.HTML(
        EMPTY, js_on_load=PICK, apply_default_css=False, elem_classes=PLAIN, elem_id="ev-rows", css_template=LOOK
    )
    with gr.Row(elem_classes=["actions"], visible=False) as row_buttons:
        back = gr.Button("Back", size="sm", scale=0, min_width=70, elem_id="ev-back")
        forward = gr.Button("More", size="sm", scale=0, min_width=70, elem_id="ev-more")
    detail = gr.HTML(
        "", apply_default_css=False, elem_classes=PLAIN, js_on_load=SHOW, elem_id="ev-row", css_template=MARKS
    )
    form.add(row_choices=row_choices, rows=table, row_buttons=row_buttons, row_detail=detail, row_page=gr.State(0))
    for choice in ("a", "b", "order"):
        form.on(form[choice].input, first_page, lab, inputs=INPUTS, outputs=PANELS)
    form.on(back.click, turn_page, lab, -1, inputs=[*INPUTS, "row_page"], outputs=PANELS)
    form.on(forward.click, turn_page, lab, 1, inputs=[*INPUTS, "row_page"], outputs=PANELS)
    form.on(table.select, show_row, lab, inputs=INPUTS, outputs=["row_detail"])


def choices(lab: LabContext, run_id: int | None) -> Updates:
    """The choices of A (the baseline) and B (the last other system); hidden where no evaluation is open."""
    if not run_id:
        none, hidden = gr.update(choices=[], value=None), gr.update(visible=False)
        return {"a": none, "b": none, "row_choices": hidden, "row_buttons": hidden}
    view = service.show(lab, run_id)
    names = [(system.label, system.id) for system in view.systems]
    last = next((system.id for system in reversed(view.systems) if system.id != view.baseline), view.baseline)
    visible = gr.update(visible=True)
    return {
        "a": gr.update(choices=names, value=view.baseline),
        "b": gr.update(choices=names, value=last),
        "row_choices": visible,
        "row_buttons": visible,
    }


def first_page(lab: LabContext, values: Values) -> Updates:
    return render(lab, values, 0)


def turn_page(lab: LabContext, step: int, values: Values) -> Updates:
    return render(lab, values, values["row_page"] + step)


def render(lab: LabContext, values: Values, page: int) -> Updates:
    """One page of rows, in the selected order."""
    if not all(values[name] for name in ("run_id", "figure", "a", "b")):
        return EMPTY_PANELS
    view, key = service.show(lab, values["run_id"]), unpack_key(values["figure"])
    higher_is_better = figure_of(key[0], key[1]).higher_is_better
    every_line = reading.lines(lab, view, key, values["a"], values["b"])
    lines = reading.sort_lines(every_line, values["order"], higher_is_better)
    page = min(max(page, 0), max(0, (len(lines) - 1) // PAGE_SIZE))
    counts = reading.tally(every_line, higher_is_better)
    names = (view.system(values["a"]).label, view.system(values["b"]).label)
    return {"rows": _table(lines, page, counts, names), "row_detail": "", "row_page": page}


def show_row(lab: LabContext, values: Values, event: gr.EventData) -> Updates:
    """Two completions side by side, with marks on what they share with the reference."""
    view, key = service.show(lab, values["run_id"]), unpack_key(values["figure"])
    systems, example = (values["a"], values["b"]), int(event.row)
    line = next((line for line in reading.lines(lab, view, key, *systems) if line.example == example), None)
    if line is None:
        raise LabError(f"Row {example + 1} is not in this evaluation; choose another.")
    reference = line.references[0] if line.references else ""
    sides = "".join(
        f"<div><h3>{letter}: {html.escape(view.system(system).label)} <small>{report.number(value)}</small></h3>"
        f"{_completions(texts, reference)}</div>"
        for letter, system, value, texts in zip("AB", systems, line.values, line.completions, strict=True)
    )
    references = html.escape("\n— or —\n".join(line.references)) or "–"
    head = (
        f"<h3>Row {line.example + 1}</h3><p class='panel-note'><mark>n-grams of the reference</mark> "
        "<u>longest common subsequence</u></p>"
    )
    markup = (
        f"<section aria-live='polite'>{head}<div class='pair'>"
        f"<div><h3>Input</h3><pre>{html.escape(line.source)}</pre></div>"
        f"<div><h3>Reference</h3><pre>{references}</pre></div>{sides}</div></section>"
    )
    return {"row_detail": markup}


def _completions(texts: Sequence[str], reference: str) -> str:
    """One completion as it is, several as a numbered list."""
    if len(texts) == 1:
        return f"<pre>{_mark_differences(texts[0], reference)}</pre>"
    items = "".join(f"<li><pre>{_mark_differences(text, reference)}</pre></li>" for text in texts)
    return f"<ol aria-label='Completions'>{items}</ol>"


def _mark_differences(text: str, reference: str) -> str:
    """The text escaped, with matched n-grams as <mark> and the common subsequence as <u>."""
    from genai_lab.evaluation.matching import matches

    matched = matches(text, reference)
    inside = [set(), set()]  # type: list[set[int]]
    for kind, spans in enumerate((matched.ngrams, matched.lcs)):
        for low, high in spans:
            inside[kind].update(range(low, high))
    parts, before = [], (False, False)
    for index, letter in enumerate(text):
        now = (index in inside[0], index in inside[1])
        if now != before:
            parts.append(("</u>" if before[1] else "") + ("</mark>" if before[0] and not now[0] else ""))
            parts.append(("<mark>" if now[0] and not before[0] else "") + ("<u>" if now[1] else ""))
            before = now
        parts.append(html.escape(letter))
    return "".join([*parts, "</u>" if before[1] else "", "</mark>" if before[0] else ""])


def _table(lines: Sequence[reading.RowComparison], page: int, counts: dict[str, int], names: tuple[str, str]) -> str:
    tally = f"B wins {counts['wins']:,}, loses {counts['losses']:,}, ties {counts['ties']:,}"
    if not lines:
        return f'<p class="quiet" role="status">{tally}</p>' + empty_state_markup(
            "No such rows", "Choose another order."
        )
    first = page * PAGE_SIZE
    page_lines = lines[first : first + PAGE_SIZE]
    head = "".join(
        f'<th scope="col">{html.escape(name)}</th>'
        for name in ("Row", "Input", "Reference", f"A: {names[0]}", f"B: {names[1]}", "A", "B", "B - A")
    )
    rows = "".join(map(_line, page_lines))
    return (
        f'<p class="quiet" role="status">{tally}. Rows {first + 1:,} to {first + len(page_lines):,} of {len(lines):,}; '
        'select one to see it in full.</p><div class="grid-scroll" tabindex="0" role="region" aria-label="Rows">'
        f'<table class="grid runs lines"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _line(line: reading.RowComparison) -> str:
    texts = (line.source, line.references[0] if line.references else "–", *line.shown)
    cells = "".join(f"<td><span>{html.escape(text[:300])}</span></td>" for text in texts)
    figures = "".join(f"<td class='num'>{report.number(value)}</td>" for value in (*line.values, line.difference))
    button = f'<button type="button" aria-label="Show row {line.example + 1}">{line.example + 1}</button>'
    return f'<tr data-row="{line.example}"><td>{button}</td>{cells}{figures}</tr>'
