"""The fields of the tab "New campaign", in the sections `plan`, `fresh`, `runs`, `file` and `example`."""

from typing import Any

import gradio as gr

from genai_lab.feedback import CRITERIA
from pages.components.forms import Form, in_section

OWN_QUESTION = "own question"
GUIDELINES = """Read the prompt first, then every completion to its end.

- Prefer what does what the prompt asks for.
- Do not prefer a completion because it is longer.
- Where two are equally good, say that they tie."""
PLAN = [
    f"plan.{name}"
    for name in (
        *("name", "criterion", "question", "kind", "overlap"),
        *("repeats", "seed", "guidelines", "ties", "both_bad"),
    )
]
FRESH = [
    f"fresh.{name}"
    for name in ("models", "prompts", "dataset", "template", "samples", "temperatures", "max_new_tokens", "rows")
]
RUNS = ["runs.systems", "runs.numbers"]
COLUMNS = [f"file.{name}" for name in ("prompt", "completions", "systems", "votes", "separator", "gold")]


def draw(form: Form) -> None:
    form.add(
        {
            "example.run": gr.Button(
                "Start the example: a starter model answers six prompts at two temperatures",
                size="sm",
                scale=0,
                min_width=280,
                elem_id="fb-example",
            )
        }
    )
    _question(form)
    with gr.Tabs(elem_id="fb-source") as source_tabs:
        with gr.Tab("Fresh completions", id="fresh"):
            _fresh(form)
        with gr.Tab("Existing completions", id="runs"):
            _runs(form)
        with gr.Tab("File", id="file"):
            _file(form)
    form.add(sources=source_tabs)
    with gr.Accordion("Details", open=False, elem_id="fb-more"):
        _details(form)


def _run_button(label: str, elem_id: str) -> gr.Button:
    return gr.Button(label, variant="primary", scale=0, min_width=150, elem_id=elem_id)


def _question(form: Form) -> None:
    with gr.Row():
        fields = {
            "criterion": gr.Dropdown(
                [*((name, name) for name in CRITERIA), (OWN_QUESTION, OWN_QUESTION)],
                value="helpful",
                label="Criterion",
                elem_id="fb-criterion",
            ),
            "question": gr.Textbox(
                label="Question",
                visible=False,
                max_lines=1,
                placeholder="Which completion is kinder?",
                elem_id="fb-question",
            ),
            "kind": gr.Radio(
                [("pairs", "pairwise"), ("rankings of up to 6", "ranking")],
                value="pairwise",
                label="Annotators see",
                elem_id="fb-kind",
            ),
        }
    form.add(in_section(fields, "plan"))


def _fresh(form: Form) -> None:
    with gr.Row():
        fields: dict[str, Any] = {
            "models": gr.Dropdown(
                [],
                multiselect=True,
                label="Models",
                info="Two or more are compared; one is enough for a reward model.",
                max_choices=6,
                elem_id="fb-models",
            ),
            "prompts": gr.Textbox(
                label="Prompts", info="One per line; or choose a dataset.", lines=4, max_lines=8, elem_id="fb-prompts"
            ),
        }
    with gr.Row():
        fields["dataset"] = gr.Dropdown([], label="Dataset", elem_id="fb-dataset-of", interactive=True)
        fields["template"] = gr.Dropdown([], label="Template", elem_id="fb-template", interactive=True)
    fields["run"] = _run_button("Generate completions", "fb-draw")
    form.add(in_section(fields, "fresh"))


def _runs(form: Form) -> None:
    with gr.Row():
        systems = gr.Dropdown(
            [],
            multiselect=True,
            label="Systems",
            info="Cells of the prompt lab and evaluated systems; rows that several of them answered become items.",
            elem_id="fb-systems",
        )
        numbers = gr.Textbox(
            label="Runs",
            info="Or run numbers from the history, a matrix or an evaluation, separated by commas.",
            max_lines=1,
            elem_id="fb-runs",
        )
    run = _run_button("Create campaign", "fb-from-runs")
    form.add(in_section({"systems": systems, "numbers": numbers, "run": run}, "runs"))


def _file(form: Form) -> None:
    file = gr.File(
        label="JSON Lines, CSV or Parquet",
        file_types=[".jsonl", ".csv", ".json", ".gz", ".parquet", ".tsv"],
        height=90,
        elem_id="fb-upload",
    )

    def columns(label: str, info: str, elem_id: str) -> gr.Dropdown:
        return gr.Dropdown([], multiselect=True, label=label, info=info, elem_id=elem_id)

    with gr.Row():
        fields: dict[str, Any] = {
            "file": file,
            "prompt": columns("Prompt", "Several columns are joined.", "fb-prompt-column"),
            "completions": columns(
                "Completions", "One column per candidate, or one column of lists.", "fb-completion-columns"
            ),
            "systems": columns("Systems", "Who wrote each completion; needed for a leaderboard.", "fb-system-columns"),
            "votes": columns(
                "Votes",
                "One column per annotator: 0 = tie, 1 or 2 = the better one, or groups as JSON.",
                "fb-vote-columns",
            ),
        }
    fields["run"] = _run_button("Import", "fb-import")
    with gr.Accordion("Details of the file", open=False, elem_id="fb-file-more"), gr.Row():
        fields["separator"] = gr.Textbox(
            "_",
            label="Separator",
            info="Separates the systems' names where one column holds them all.",
            max_lines=1,
            elem_id="fb-separator",
        )
        fields["gold"] = gr.Dropdown(
            [], label="Gold", info="The known best completion, as a check.", elem_id="fb-gold-column"
        )
    form.add(in_section(fields, "file"))


def _details(form: Form) -> None:
    with gr.Row():
        plan: dict[str, Any] = {
            "name": gr.Textbox(
                label="Name", info="Empty: named after its contents.", max_lines=1, elem_id="fb-new-name"
            ),
            "overlap": gr.Number(
                2,
                precision=0,
                label="Overlap",
                info="Annotators per item; a file with votes brings its own.",
                elem_id="fb-overlap",
            ),
            "repeats": gr.Slider(
                0,
                50,
                5,
                step=1,
                label="Repeated items (%)",
                info="Shown again with sides swapped, to measure self-consistency.",
                elem_id="fb-repeats",
            ),
            "seed": gr.Number(
                0, precision=0, label="Seed", info="Draws the order of items and sides.", elem_id="fb-seed"
            ),
        }
    with gr.Row():
        fresh = {
            "samples": gr.Number(
                1, precision=0, label="Completions per model", info="2-6 per item in total.", elem_id="fb-samples"
            ),
            "temperatures": gr.Textbox(
                "1",
                label="Temperatures",
                info="Separated by commas; 0 is greedy.",
                max_lines=1,
                elem_id="fb-temperature",
            ),
            "max_new_tokens": gr.Number(64, precision=0, label="Max new tokens", elem_id="fb-tokens"),
            "rows": gr.Number(
                50, precision=0, label="Rows of a dataset", info="Sampled with the seed.", elem_id="fb-rows"
            ),
        }
    plan["guidelines"] = gr.Textbox(GUIDELINES, label="Guidelines", lines=6, elem_id="fb-guidelines")
    with gr.Row():
        plan["ties"] = gr.Checkbox(True, label="Ties allowed", elem_id="fb-ties")
        plan["both_bad"] = gr.Checkbox(True, label="'Both bad' allowed", elem_id="fb-bad")
    form.add(in_section(plan, "plan"))
    form.add(in_section(fresh, "fresh"))
