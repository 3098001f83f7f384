"""Every run of every kind: found again, opened where it belongs; completions exported, deleted with a way back."""

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import history as service
from pages.components.confirm import Confirm
from pages.components.copying import download_computed
from pages.components.errors import PRIVATE, guarded, notice
from pages.components.head import PLAIN, empty_state_markup, page_head
from pages.components.opening import on_open
from pages.components.scoring import score_row

TITLE = "History"
ROUTE = "history"
PAGE = 25
NAMES = ("Run", "Kind", "When (UTC)", "Model", "About", "Result", "Settings", "Seed", "Tokens", "Status")
ALL = ""
FILTER = [("Every kind", ALL), *((title, kind) for kind, title in service.KINDS.items())]
WAITING = empty_state_markup("Reading the history", "One moment.")
Update = Any
PICK = """
const boxes = () => [...element.querySelectorAll('input.pick')];
element.addEventListener('change', event => {
  if (event.target.classList.contains('pick-all')) boxes().forEach(box => { box.checked = event.target.checked; });
  const all = element.querySelector('.pick-all'), chosen = boxes().filter(box => box.checked);
  all.checked = chosen.length > 0 && chosen.length === boxes().length;
  all.indeterminate = chosen.length > 0 && !all.checked;
  boxes().forEach(box => box.closest('tr').classList.toggle('picked', box.checked));
  trigger('select', { ids: chosen.map(box => box.value), of: boxes().length });
});
// A table that is drawn anew has nothing selected; one that is drawn the same keeps what is.
watch('value', () => requestAnimationFrame(() => {
  const chosen = boxes().filter(box => box.checked);
  trigger('select', { ids: chosen.map(box => box.value), of: boxes().length });
}));
"""
LOOK = """
table.runs td:first-child, table.runs th:first-child { width: 1%; min-width: 0; padding-right: 0; }
table.runs input { width: 16px; height: 16px; margin: 1px 0; accent-color: var(--color-accent); vertical-align: top; }
table.runs tr.picked { background: color-mix(in srgb, var(--color-accent) 8%, transparent); }
table.runs td:is(:nth-child(3), :nth-child(4)) { white-space: nowrap; }
table.runs td:nth-child(3) span { overflow-wrap: normal; }
@media (max-width: 640px) {
  table.runs :is(th, td):is(:nth-child(4), :nth-child(5), :nth-child(n + 8)) { display: none; }
}
"""


def build(lab: LabContext) -> None:
    page_head(TITLE, "Every run with its settings and seed: open it where it belongs, replay it, take it along.")
    place, gone = gr.State(0), gr.State([])
    with gr.Row(elem_classes=["actions"]):
        search = gr.Textbox(
            placeholder="Words in title, model, dataset, prompt or completion",
            label="Search",
            elem_id="history-search",
            max_lines=1,
        )
        kind = gr.Dropdown(
            FILTER,
            value=ALL,
            label="Kind",
            info="The cells of a matrix stand under Predictions.",
            interactive=True,
            elem_id="history-kind",
        )
    table = gr.HTML(
        WAITING,
        css_template=LOOK,
        js_on_load=PICK,
        apply_default_css=False,
        elem_classes=PLAIN,
        elem_id="history-table",
    )
    picked = gr.State([])
    chosen = gr.HTML("", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="history-picked")
    with gr.Row(elem_classes=["actions"], visible=False) as turning:
        newer = gr.Button("Newer", size="sm", scale=0, min_width=70, elem_id="history-newer")
        older = gr.Button("Older", size="sm", scale=0, min_width=70, elem_id="history-older")
    with gr.Column(visible=False) as body:
        with gr.Row(elem_classes=["actions"]):
            jsonl = gr.Button("JSONL", size="sm", scale=0, min_width=70, elem_id="history-jsonl")
            csv = gr.Button("CSV", size="sm", scale=0, min_width=70, elem_id="history-csv")
            delete = gr.Button("Delete", size="sm", scale=0, min_width=70, elem_id="history-delete")
            undo = gr.Button("Undo delete", size="sm", scale=0, min_width=100, visible=False, elem_id="history-undo")
        surely = Confirm("Delete", "history-confirm")
        score_row(lab, selected, [picked], "history")
    shown = [table, place, turning, body]
    asked: list[Any] = [search, kind]
    on_open(arrived, [kind, *shown], lab)
    for one in asked:
        one.change(guarded(searched, lab), asked, shown, trigger_mode="always_last", **PRIVATE)
    newer.click(guarded(turned, lab, -1), [*asked, place], shown, **PRIVATE)
    older.click(guarded(turned, lab, 1), [*asked, place], shown, **PRIVATE)
    table.select(guarded(pick), None, [picked, chosen], queue=False, trigger_mode="always_last", **PRIVATE)
    download_computed(jsonl, to_jsonl, [picked], "generations.jsonl", lab)
    download_computed(csv, to_csv, [picked], "generations.csv", lab)
    delete.click(guarded(ask, surely), picked, surely.outputs, **PRIVATE)
    surely.yes.click(guarded(deleted, lab), [picked, *asked, place], [*shown, gone, undo], **PRIVATE).then(
        surely.close, None, surely.outputs, **PRIVATE
    )
    undo.click(guarded(undone, lab), [gone, *asked, place], [*shown, gone, undo], **PRIVATE)


def arrived(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?kind=train."""
    kind = request.query_params.get("kind", ALL)
    kind = kind if kind in service.KINDS else ALL
    return [kind, *draw(lab, "", kind, 0)]


def draw(lab: LabContext, search: str, kind: str, place: int) -> tuple[Update, ...]:
    """The table, its page, and what can be done with it."""
    found = service.history(lab, search or "", PAGE, place * PAGE, kind or ALL)
    some = kind == "generate" or (not kind and any(row.kind == "generate" for row in found.rows))
    return (
        _table(found, search, kind, place),
        place,
        gr.update(visible=found.total > PAGE),
        gr.update(visible=some or bool(search)),
    )


def searched(lab: LabContext, search: str, kind: str) -> tuple[Update, ...]:
    return draw(lab, search, kind, 0)


def turned(lab: LabContext, way: int, search: str, kind: str, place: int) -> tuple[Update, ...]:
    last = max(0, (service.history(lab, search or "", 1, 0, kind or ALL).total - 1) // PAGE)
    return draw(lab, search, kind, min(max(place + way, 0), last))


def pick(event: gr.EventData) -> tuple[list[str], str]:
    ids = [str(int(one)) for one in event.ids[:PAGE]]
    return ids, _count(ids) if event.of else ""


def selected(picked: list[str]) -> list[int]:
    if not picked:
        raise LabError("No run is selected; select those whose completions are to be scored.")
    return [int(one) for one in picked]


def to_jsonl(lab: LabContext, picked: list[str]) -> str:
    return service.to_jsonl(lab, [int(one) for one in picked])


def to_csv(lab: LabContext, picked: list[str]) -> str:
    return service.to_csv(lab, [int(one) for one in picked])


def ask(surely: Confirm, picked: list[str]) -> Sequence[Update]:
    if not picked:
        raise LabError("No run is selected; select at least one to delete.")
    return surely.ask(f"Delete {len(picked)} run{'s' if len(picked) > 1 else ''} from the history?")


def deleted(lab: LabContext, picked: list[str], search: str, kind: str, place: int) -> tuple[Update, ...]:
    ids = [int(one) for one in picked]
    count = service.delete_runs(lab, ids)
    notice(f"Deleted {count} run{'s' if count != 1 else ''}; Undo delete brings them back.")
    return *draw(lab, search, kind, place)[:-1], gr.update(visible=True), ids, gr.update(visible=True)


def undone(lab: LabContext, gone: list[int], search: str, kind: str, place: int) -> tuple[Update, ...]:
    service.undelete_runs(lab, gone)
    return *draw(lab, search, kind, place), [], gr.update(visible=False)


def _table(found: service.History, search: str, kind: str, place: int) -> str:
    if not found.total:
        if search:
            return empty_state_markup("Nothing found", "No run holds all of these words; try fewer.")
        if kind:
            return empty_state_markup(f"No run of the kind {service.KINDS[kind].lower()}", "Choose another kind.")
        return empty_state_markup("No runs yet", "Generate something in the Playground; every run is kept here.")
    first = place * PAGE + 1
    count = f"Runs {first:,} to {first + len(found.rows) - 1:,} of {found.total:,}, newest first"
    head = "".join(f'<th scope="col">{name}</th>' for name in NAMES)
    every = '<th><input type="checkbox" class="pick-all" aria-label="Select every completion of this page"></th>'
    return (
        f'<p class="quiet" role="status">{count}</p><div class="grid-scroll" tabindex="0" role="region" '
        f'aria-label="Runs"><table class="grid runs"><thead><tr>{every}{head}</tr></thead>'
        f"<tbody>{''.join(map(_line, found.rows))}</tbody></table></div>"
    )


def address_of(row: service.RunRow) -> str:
    """The page of a run's kind, with this run open."""
    named = quote(row.made or row.model.partition(", ")[0])
    if row.kind == "predict":
        return f"/prompts?matrix={row.parent}&cell={row.id}" if row.parent else "/evaluate"
    return {
        "generate": f"/?run={row.id}",
        "matrix": f"/prompts?matrix={row.id}",
        "evaluate": f"/evaluate?evaluation={row.id}",
        "train": f"/finetune?run={row.id}",
        "study": f"/finetune?study={row.id}",
        "merge": f"/models?model={named}",
        "campaign": f"/feedback?campaign={named}" if row.made else "/feedback",
        "import": f"/datasets?dataset={named}" if row.made else "/datasets",
    }.get(row.kind, "/jobs")


def _line(row: service.RunRow) -> str:
    box, more = "", ""
    if row.kind == "generate":
        box = f'<input type="checkbox" class="pick" value="{row.id}" aria-label="Select run {row.id}">'
    if row.group and row.kind == "generate":
        beside = html.escape(row.group, quote=True)
        told = f"Compare run {row.id} with those begun together"
        more = f'<a class="beside" href="/?group={beside}" title="{told}" aria-label="{told}">⋮</a>'
    link = f'<a href="{html.escape(address_of(row), quote=True)}" aria-label="Open run {row.id}">{row.id}</a>{more}'
    when = f"{row.created_at:%Y-%m-%d %H:%M:%S}"
    kind = service.KINDS.get(row.kind, row.kind)
    words = (kind, when, row.model, row.prompt_start, row.completion_start, row.sampling_summary)
    cells = "".join(f"<td><span>{html.escape(text)}</span></td>" for text in words)
    tokens = str(row.tokens) if row.kind == "generate" else "–"
    figures = f"<td>{row.seed}</td><td>{tokens}</td><td>{html.escape(row.status)}</td>"
    return f'<tr data-run="{row.id}"><td>{box}</td><td>{link}</td>{cells}{figures}</tr>'


def _count(ids: list[str]) -> str:
    words = (
        f"{len(ids)} run{'s' if len(ids) != 1 else ''} selected"
        if ids
        else "Select completions to export, score or delete them."
    )
    return f'<p class="panel-note" role="status">{words}</p>'
