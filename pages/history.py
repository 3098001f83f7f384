"""Runs of every kind: opened where they belong and replayed; completions are exported, scored and deleted."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services import history as service
from genai_lab.services import lineage, runs
from pages.components.confirm import Confirm
from pages.components.copying import download_computed
from pages.components.errors import INTERNAL, event_handler, notice
from pages.components.head import PLAIN, empty_state_markup, page_head
from pages.components.loading import on_load
from pages.components.scoring import score_row

TITLE = "History"
ROUTE = "history"
PAGE = 25
NAMES = ("Run", "Kind", "When (UTC)", "Model", "About", "Result", "Settings", "Seed", "Tokens", "Status")
ALL = ""
MOST_REPLAYS = 8
LOADING = empty_state_markup("Reading the history", "One moment.")
Update = Any
SELECTION_SCRIPT = """
const boxes = () => [...element.querySelectorAll('input.pick')];
element.addEventListener('change', event => {
  if (event.target.classList.contains('pick-all')) boxes().forEach(box => { box.checked = event.target.checked; });
  const all = element.querySelector('.pick-all'), selected = boxes().filter(box => box.checked);
  all.checked = selected.length > 0 && selected.length === boxes().length;
  all.indeterminate = selected.length > 0 && !all.checked;
  boxes().forEach(box => box.closest('tr').classList.toggle('picked', box.checked));
  trigger('select', { ids: selected.map(box => box.value), of: boxes().length });
});
// A new table has nothing selected; one that is rendered the same keeps its selection.
watch('value', () => requestAnimationFrame(() => {
  const selected = boxes().filter(box => box.checked);
  trigger('select', { ids: selected.map(box => box.value), of: boxes().length });
}));
"""
STYLE = """
table.runs td:first-child, table.runs th:first-child { width: 1%; min-width: 0; padding-right: 0; }
table.runs input { width: 16px; height: 16px; margin: 1px 0; accent-color: var(--color-accent); vertical-align: top; }
table.runs td small { font-size: 11px; margin-left: 8px; }
table.runs td:nth-child(2) { white-space: nowrap; }
table.runs tr.picked { background: color-mix(in srgb, var(--color-accent) 8%, transparent); }
table.runs td:is(:nth-child(3), :nth-child(4)) { white-space: nowrap; }
table.runs td:nth-child(3) span { overflow-wrap: normal; }
@media (max-width: 640px) {
  table.runs td small { display: block; margin-left: 0; }
  table.runs :is(th, td):is(:nth-child(4), :nth-child(5), :nth-child(n + 8)) { display: none; }
}
"""


def build(lab: LabContext) -> None:
    page_head(TITLE, "Every run with its settings and seed: open it where it belongs, replay it, export it.")
    page_number, deleted_ids = gr.State(0), gr.State([])
    with gr.Row(elem_classes=["actions"]):
        search = gr.Textbox(
            placeholder="Words in title, model, dataset, prompt or completion",
            label="Search",
            elem_id="history-search",
            max_lines=1,
        )
        kind = gr.Dropdown(
            [("Every kind", ALL), *((title, name) for name, title in runs.titles().items())],
            value=ALL,
            label="Kind",
            info="The cells of a matrix are listed under Predictions.",
            interactive=True,
            elem_id="history-kind",
        )
    table = gr.HTML(
        LOADING,
        css_template=STYLE,
        js_on_load=SELECTION_SCRIPT,
        apply_default_css=False,
        elem_classes=PLAIN,
        elem_id="history-table",
    )
    selection = gr.State([])
    count = gr.HTML("", apply_default_css=False, elem_classes=PLAIN, js_on_load=None, elem_id="history-picked")
    with gr.Row(elem_classes=["actions"], visible=False) as paging:
        newer = gr.Button("Newer", size="sm", scale=0, min_width=70, elem_id="history-newer")
        older = gr.Button("Older", size="sm", scale=0, min_width=70, elem_id="history-older")
    with gr.Column(visible=False) as body:
        with gr.Row(elem_classes=["actions"]):
            replay = gr.Button("Replay", size="sm", scale=0, min_width=70, elem_id="history-replay")
            jsonl = gr.Button("JSONL", size="sm", scale=0, min_width=70, elem_id="history-jsonl")
            csv = gr.Button("CSV", size="sm", scale=0, min_width=70, elem_id="history-csv")
            delete = gr.Button("Delete", size="sm", scale=0, min_width=70, elem_id="history-delete")
            undo = gr.Button("Undo delete", size="sm", scale=0, min_width=100, visible=False, elem_id="history-undo")
        confirm = Confirm("Delete", "history-confirm")
        score_row(lab, selected_ids, selection, "history")
    outputs = [table, page_number, paging, body]
    filters: list[Any] = [search, kind]
    on_load(load_page, [kind, *outputs], lab)
    for component in filters:
        component.change(event_handler(on_filter, lab), filters, outputs, trigger_mode="always_last", **INTERNAL)
    newer.click(event_handler(on_turn, lab, -1), [*filters, page_number], outputs, **INTERNAL)
    older.click(event_handler(on_turn, lab, 1), [*filters, page_number], outputs, **INTERNAL)
    table.select(
        event_handler(on_select), None, [selection, count], queue=False, trigger_mode="always_last", **INTERNAL
    )
    replay.click(event_handler(on_replay, lab), [selection, *filters], outputs, **INTERNAL)
    download_computed(jsonl, to_jsonl, [selection], "generations.jsonl", lab)
    download_computed(csv, to_csv, [selection], "generations.csv", lab)
    delete.click(event_handler(ask_to_delete, lab, confirm), selection, confirm.outputs, **INTERNAL)
    after_delete = [*outputs, deleted_ids, undo]
    confirm.yes.click(event_handler(on_delete, lab), [selection, *filters, page_number], after_delete, **INTERNAL).then(
        confirm.close, None, confirm.outputs, **INTERNAL
    )
    undo.click(event_handler(on_undo, lab), [deleted_ids, *filters, page_number], after_delete, **INTERNAL)


def load_page(lab: LabContext, request: gr.Request) -> Sequence[Update]:
    """The page as its address asks for it: ?kind=train."""
    kind = request.query_params.get("kind", ALL)
    kind = kind if kind in runs.RUN_KINDS else ALL
    return [kind, *render(lab, "", kind, 0)]


def render(lab: LabContext, search: str, kind: str, page_number: int) -> tuple[Update, ...]:
    """The table, the number of its page, and what can be done with its runs."""
    history = service.history(lab, search or "", PAGE, page_number * PAGE, kind or ALL)
    selectable = any(_is_selectable(row) for row in history.rows)
    return (
        _table(history, search, kind, page_number),
        page_number,
        gr.update(visible=history.total > PAGE),
        gr.update(visible=selectable or bool(search)),
    )


def on_filter(lab: LabContext, search: str, kind: str) -> tuple[Update, ...]:
    return render(lab, search, kind, 0)


def on_turn(lab: LabContext, step: int, search: str, kind: str, page_number: int) -> tuple[Update, ...]:
    last = max(0, (service.history(lab, search or "", 1, 0, kind or ALL).total - 1) // PAGE)
    return render(lab, search, kind, min(max(page_number + step, 0), last))


def on_select(event: gr.EventData) -> tuple[list[str], str]:
    ids = [str(int(run_id)) for run_id in event.ids[:PAGE]]
    return ids, _selection_count(ids) if event.of else ""


def selected_ids(selection: list[str]) -> list[int]:
    if not selection:
        raise LabError("No run is selected; select those whose completions are to be scored.")
    return [int(run_id) for run_id in selection]


def on_replay(lab: LabContext, selection: list[str], search: str, kind: str) -> tuple[Update, ...]:
    """Starts the selected runs again and shows the newest page."""
    if not 1 <= len(selection) <= MOST_REPLAYS:
        raise LabError(f"{len(selection)} runs are selected; select 1 to {MOST_REPLAYS} to replay.")
    new_ids = [runs.replay(lab, int(run_id)) for run_id in selection]
    notice(f"Replayed as run{'s' if len(new_ids) > 1 else ''} {', '.join(map(str, new_ids))}.")
    return render(lab, search, kind, 0)


def to_jsonl(lab: LabContext, selection: list[str]) -> str:
    return service.to_jsonl(lab, [int(run_id) for run_id in selection])


def to_csv(lab: LabContext, selection: list[str]) -> str:
    return service.to_csv(lab, [int(run_id) for run_id in selection])


def ask_to_delete(lab: LabContext, confirm: Confirm, selection: list[str]) -> Sequence[Update]:
    if not selection:
        raise LabError("No run is selected; select at least one to delete.")
    service.check_deletable(lab, [int(run_id) for run_id in selection])
    return confirm.ask(f"Delete {len(selection)} run{'s' if len(selection) > 1 else ''} from the history?")


def on_delete(lab: LabContext, selection: list[str], search: str, kind: str, page_number: int) -> tuple[Update, ...]:
    ids = [int(run_id) for run_id in selection]
    count = service.delete_runs(lab, ids)
    notice(f"Deleted {count} run{'s' if count != 1 else ''}; Undo delete brings them back.")
    return *render(lab, search, kind, page_number)[:-1], gr.update(visible=True), ids, gr.update(visible=True)


def on_undo(lab: LabContext, deleted_ids: list[int], search: str, kind: str, page_number: int) -> tuple[Update, ...]:
    service.undelete_runs(lab, deleted_ids)
    return *render(lab, search, kind, page_number), [], gr.update(visible=False)


def _table(history: service.History, search: str, kind: str, page_number: int) -> str:
    if not history.total:
        if search:
            return empty_state_markup("Nothing found", "No run contains all of these words; try fewer.")
        if kind:
            return empty_state_markup(f"No run of the kind {runs.titles()[kind].lower()}", "Choose another kind.")
        return empty_state_markup("No runs yet", "Generate something in the Playground; every run is listed here.")
    first = page_number * PAGE + 1
    count = f"Runs {first:,} to {first + len(history.rows) - 1:,} of {history.total:,}, newest first"
    head = "".join(f'<th scope="col">{name}</th>' for name in NAMES)
    select_all = '<th><input type="checkbox" class="pick-all" aria-label="Select every run of this page"></th>'
    return (
        f'<p class="quiet" role="status">{count}</p><div class="grid-scroll" tabindex="0" role="region" '
        f'aria-label="Runs"><table class="grid runs"><thead><tr>{select_all}{head}</tr></thead>'
        f"<tbody>{''.join(map(_line, history.rows))}</tbody></table></div>"
    )


def _is_selectable(row: service.RunRow) -> bool:
    return row.replayable or row.kind == "generate"


def _line(row: service.RunRow) -> str:
    box, compare = "", ""
    if _is_selectable(row):
        box = f'<input type="checkbox" class="pick" value="{row.id}" aria-label="Select run {row.id}">'
    if row.group and row.kind == "generate":
        group = html.escape(row.group, quote=True)
        label = f"Compare run {row.id} with those started together"
        compare = f'<a class="beside" href="/?group={group}" title="{label}" aria-label="{label}">⋮</a>'
    link = f'<a href="{html.escape(row.address, quote=True)}" aria-label="Open run {row.id}">{row.id}</a>{compare}'
    address = lineage.address_of("run", row.id)
    origin = f'<small><a href="{address}" aria-label="Lineage of run {row.id}">lineage</a></small>'
    when = f"{row.created_at:%Y-%m-%d %H:%M:%S}"
    texts = (row.title, when, row.model, row.prompt_start, row.completion_start, row.sampling_summary)
    cells = "".join(f"<td><span>{html.escape(text)}</span></td>" for text in texts)
    tokens = str(row.tokens) if row.kind == "generate" else "–"
    figures = f"<td>{row.seed}</td><td>{tokens}</td><td>{html.escape(row.status)}</td>"
    return f'<tr data-run="{row.id}"><td>{box}</td><td>{link}{origin}</td>{cells}{figures}</tr>'


def _selection_count(ids: list[str]) -> str:
    text = (
        f"{len(ids)} run{'s' if len(ids) != 1 else ''} selected"
        if ids
        else "Select runs to replay; completions can be exported, scored and deleted too."
    )
    return f'<p class="panel-note" role="status">{text}</p>'
