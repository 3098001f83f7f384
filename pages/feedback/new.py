"""The part "New campaign": fresh candidates, completions that are there already, a dataset or a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CRITERIA, CampaignPlan
from genai_lab.services import datasets, evaluation, generation, models, templates
from genai_lab.services import feedback as service
from genai_lab.services.feedback import fresh, sources, systems
from pages.components.errors import PRIVATE, guarded, notice, warned

Update = Any
OWN = "own question"
EXAMPLE = (
    "Write a short story about a cat.",
    "Tell me about a day at the sea.",
    "A boy finds a key. What happens next?",
    "Describe a garden in the morning.",
    "Write about two friends who share an apple.",
    "Tell a story about a lost ball.",
)
GUIDELINES = """Read the prompt first, then every completion to its end.

- Prefer what does what the prompt asks for.
- Do not prefer a completion because it is longer.
- Where two are equally good, say that they tie."""


class New:
    """`offers` are filled when the page opens."""

    def __init__(self, lab: LabContext, begun: gr.State) -> None:
        example = gr.Button(
            "Start the example: a starter model answers six prompts at two temperatures",
            size="sm",
            scale=0,
            min_width=280,
            elem_id="fb-example",
        )
        with gr.Row():
            criterion = gr.Dropdown(
                [*((one, one) for one in CRITERIA), (OWN, OWN)],
                value="helpful",
                label="Criterion",
                elem_id="fb-criterion",
            )
            own = gr.Textbox(
                label="Question",
                visible=False,
                max_lines=1,
                placeholder="Which completion is kinder?",
                elem_id="fb-question",
            )
            kind = gr.Radio(
                [("pairs", "pairwise"), ("rankings of up to 6", "ranking")],
                value="pairwise",
                label="Annotators see",
                elem_id="fb-kind",
            )
        criterion.change(show_question, criterion, own, queue=False, **PRIVATE)
        with gr.Tabs(elem_id="fb-source") as places:
            with gr.Tab("Fresh completions", id="fresh"):
                drawn, draw = self._fresh()
            with gr.Tab("Completions that are there", id="runs"):
                runs, collect = self._runs()
            with gr.Tab("File", id="file"):
                columns, bring = self._file()
        details, drawing = self._details()
        name, overlap, repeats, seed, guidelines, ties, bad = details
        plan = [name, criterion, own, kind, overlap, repeats, seed, guidelines, ties, bad]
        models_, prompts, dataset, template = drawn
        samples, temperature, tokens, rows = drawing
        inputs = [*plan, models_, samples, temperature, tokens, prompts, dataset, template, rows]
        draw.click(guarded(begin_fresh, lab), inputs, begun, concurrency_id="models", **PRIVATE)
        collect.click(guarded(begin_runs, lab), [*plan, *runs], begun, **PRIVATE)
        bring.click(guarded(begin_file, lab), [*plan, *columns], begun, **PRIVATE)
        example.click(guarded(begin_example, lab), None, begun, concurrency_id="models", **PRIVATE)
        self.offers = [places, models_, dataset, template, *runs]

    def _fresh(self) -> tuple[list[Any], gr.Button]:
        """(models, prompts, dataset, template), and the button that draws."""
        with gr.Row():
            chosen = gr.Dropdown(
                [],
                multiselect=True,
                label="Models",
                info="Two are compared; one alone teaches a reward model.",
                max_choices=6,
                elem_id="fb-models",
            )
            prompts = gr.Textbox(
                label="Prompts", info="One a line; or choose a dataset.", lines=4, max_lines=8, elem_id="fb-prompts"
            )
        with gr.Row():
            dataset = gr.Dropdown([], label="Dataset", elem_id="fb-dataset-of", interactive=True)
            template = gr.Dropdown([], label="Template", elem_id="fb-template", interactive=True)
        run = gr.Button("Draw completions", variant="primary", scale=0, min_width=150, elem_id="fb-draw")
        return [chosen, prompts, dataset, template], run

    def _runs(self) -> tuple[list[Any], gr.Button]:
        with gr.Row():
            cells = gr.Dropdown(
                [],
                multiselect=True,
                label="Systems",
                info="Cells of the prompt lab and evaluated systems; rows that several answered become items.",
                elem_id="fb-systems",
            )
            numbers = gr.Textbox(
                label="Runs",
                info="Or numbers of the history, of a matrix or an evaluation, with commas.",
                max_lines=1,
                elem_id="fb-runs",
            )
        run = gr.Button("Make campaign", variant="primary", scale=0, min_width=150, elem_id="fb-from-runs")
        return [cells, numbers], run

    def _file(self) -> tuple[list[Any], gr.Button]:
        """(file, prompt, completions, systems, votes, separator, gold), and the button that imports."""
        file = gr.File(
            label="JSON Lines, CSV or Parquet",
            file_types=[".jsonl", ".csv", ".json", ".gz", ".parquet", ".tsv"],
            height=90,
            elem_id="fb-upload",
        )
        with gr.Row():
            prompt = gr.Dropdown(
                [], multiselect=True, label="Prompt", info="Several are joined.", elem_id="fb-prompt-column"
            )
            completions = gr.Dropdown(
                [],
                multiselect=True,
                label="Completions",
                info="A column a candidate, or one list.",
                elem_id="fb-completion-columns",
            )
            names = gr.Dropdown(
                [],
                multiselect=True,
                label="Systems",
                info="Who wrote each: without, no leaderboard.",
                elem_id="fb-system-columns",
            )
            votes = gr.Dropdown(
                [],
                multiselect=True,
                label="Votes",
                info="Annotators' columns: 0 tie, 1, 2, or groups as JSON.",
                elem_id="fb-vote-columns",
            )
        run = gr.Button("Import", variant="primary", scale=0, min_width=150, elem_id="fb-import")
        with gr.Accordion("Details of the file", open=False, elem_id="fb-file-more"), gr.Row():
            separator = gr.Textbox(
                "_",
                label="Separator",
                info="Where one column joins the names of the systems.",
                max_lines=1,
                elem_id="fb-separator",
            )
            gold = gr.Dropdown([], label="Gold", info="The known best, as a check.", elem_id="fb-gold-column")
        chosen = [prompt, completions, names, votes, separator, gold]
        file.change(guarded(read_columns), file, chosen, **PRIVATE)
        return [file, *chosen], run

    def _details(self) -> tuple[list[Any], list[Any]]:
        """The rest of the plan, and the rest of what draws completions."""
        with gr.Accordion("Details", open=False, elem_id="fb-more"):
            with gr.Row():
                name = gr.Textbox(
                    label="Name", info="Empty: told by what it is made of.", max_lines=1, elem_id="fb-new-name"
                )
                overlap = gr.Number(
                    2,
                    precision=0,
                    label="Overlap",
                    info="Annotators an item; of a file with votes, what it has.",
                    elem_id="fb-overlap",
                )
                repeats = gr.Slider(
                    0,
                    50,
                    5,
                    step=1,
                    label="Shown twice (%)",
                    info="For self-consistency, sides swapped.",
                    elem_id="fb-repeats",
                )
                seed = gr.Number(0, precision=0, label="Seed", info="Draws order and sides.", elem_id="fb-seed")
            with gr.Row():
                samples = gr.Number(
                    1, precision=0, label="Completions a model", info="2 to 6 an item in all.", elem_id="fb-samples"
                )
                temperature = gr.Textbox(
                    "1",
                    label="Temperatures",
                    info="Several with commas; 0 is greedy.",
                    max_lines=1,
                    elem_id="fb-temperature",
                )
                tokens = gr.Number(64, precision=0, label="Max new tokens", elem_id="fb-tokens")
                rows = gr.Number(
                    50, precision=0, label="Rows of a dataset", info="Drawn with the seed.", elem_id="fb-rows"
                )
            guidelines = gr.Textbox(GUIDELINES, label="Guidelines", lines=6, elem_id="fb-guidelines")
            with gr.Row():
                ties = gr.Checkbox(True, label="Ties allowed", elem_id="fb-ties")
                bad = gr.Checkbox(True, label="'Both bad' allowed", elem_id="fb-bad")
        return [name, overlap, repeats, seed, guidelines, ties, bad], [samples, temperature, tokens, rows]


def show_question(criterion: str) -> Update:
    return gr.update(visible=criterion == OWN)


def offered(lab: LabContext, runs: str = "") -> Sequence[Update]:
    """What can be chosen now; `runs` are numbers from the address, as other pages send them."""
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    found, _ = datasets.find(lab, "", 200)
    kept = [view.name for view in templates.find(lab)]
    known = [(f"{one.id}: {one.label} on {one.dataset} (n = {one.n})", one.id) for one in evaluation.systems(lab)]
    numbers = ", ".join(part for part in runs.split(",") if part.strip().isdecimal())
    return (
        gr.update(selected="runs") if numbers else gr.skip(),
        gr.update(choices=names, value=list(fresh.comparable(lab))),
        gr.update(choices=["", *(view.name for view in found)], value=""),
        gr.update(choices=kept, value=next((one for one in kept if one.startswith("plain")), None)),
        gr.update(choices=known),
        gr.update(value=numbers),
    )


def plan_of(lab: LabContext, fallback: str, values: Sequence[Any]) -> CampaignPlan:
    """The plan from the form's first ten inputs; without a name it gets one that is free."""
    name, criterion, own, kind, overlap, repeats, seed, guidelines, ties, bad = values
    if criterion == OWN and not (own or "").strip():
        raise LabError("The question is empty; write what annotators are asked, or choose another criterion.")
    return CampaignPlan(
        (name or "").strip() or _free(lab, fallback),
        own.strip() if criterion == OWN else criterion,
        guidelines or "",
        kind,
        int(overlap or 0),
        bool(ties),
        bool(bad),
        float(repeats or 0) / 100,
        seed=int(seed or 0),
    )


def _free(lab: LabContext, name: str) -> str:
    taken = {view.name for view in service.find(lab)}
    number, made = 1, name[:100]
    while made in taken:
        number += 1
        made = f"{name[:100]} {number}"
    return made


def begin_example(lab: LabContext) -> int:
    """Completions of a starter model on six prompts at two temperatures, to be ranked in a minute."""
    plan = CampaignPlan(_free(lab, "Starter stories"), "helpful", GUIDELINES, "ranking", overlap=2, repeats=0.1)
    settings = fresh.samplings((0.6, 1.3), 40)
    made = fresh.start(lab, plan, ["starter-causal"], prompts=EXAMPLE, samplings=settings, samples=2, opened=True)
    notice(f"{plan.name}: its completions are being drawn; invite yourself meanwhile.")
    return made.campaign


def begin_fresh(lab: LabContext, *values: Any) -> int:
    *plan, chosen, samples, temperature, tokens, prompts, dataset, template, rows = values
    texts = [line for line in (prompts or "").splitlines() if line.strip()]
    if not chosen:
        raise LabError("No model is chosen; choose at least one.")
    if not texts and not dataset:
        raise LabError("There are no prompts; write one a line, or choose a dataset.")
    settings = fresh.samplings(_temperatures(temperature), int(tokens or 0))
    one = len(set(chosen)) * len(settings) == 1
    made = fresh.start(
        lab,
        plan_of(lab, "Fresh completions", plan),
        chosen,
        dataset=dataset or "",
        prompts=texts,
        template=template or "plain",
        samplings=settings,
        samples=int(samples or 0),
        rows=int(rows or 0),
        seed=int(plan[6] or 0),
    )
    notice("Its completions are being drawn; invite annotators meanwhile.")
    if one:
        warned(
            f"All candidates come from {chosen[0]}: good for a reward model, but there is no leaderboard of one system."
        )
    return made.campaign


def _temperatures(text: str | None) -> list[float]:
    words = [part.strip() for part in (text or "").split(",") if part.strip()]
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if not found:
        raise LabError(f"Temperatures is {(text or '')[:40]!r}; write numbers with commas, such as 0.7, 1.2.")
    return found


def begin_runs(lab: LabContext, *values: Any) -> int:
    *plan, cells, numbers = values
    given = [part.strip() for part in (numbers or "").split(",") if part.strip()]
    wrong = next((part for part in given if not part.isdecimal()), None)
    if wrong is not None:
        raise LabError(f"{wrong[:40]!r} is no number of a run; write numbers with commas, such as 12, 13.")
    ids = [*(cells or []), *map(int, given)]
    if not ids:
        raise LabError("No run is chosen; choose systems, or write numbers of runs.")
    made = sources.from_runs(lab, plan_of(lab, f"Runs {', '.join(map(str, ids))}"[:100], plan), ids)
    return told(lab, made)


def from_group(lab: LabContext, group: str) -> str:
    """The numbers of a comparison's runs, for the address."""
    return ",".join(str(view.id) for view in generation.group_runs(lab, group))


def begin_file(lab: LabContext, *values: Any) -> int:
    *plan, file, prompt, completions, names, votes, separator, gold = values
    if not file:
        raise LabError("No file is chosen; upload one with prompts and completions.")
    wanted = sources.Columns(
        tuple(prompt or ()),
        tuple(completions or ()),
        tuple(names or ()),
        tuple(votes or ()),
        gold or "",
        separator or "_",
    )
    path = Path(file)
    made = sources.from_file(lab, plan_of(lab, path.name.split(".")[0] or "Import", plan), path, wanted)
    return told(lab, made)


def told(lab: LabContext, made: service.Made) -> int:
    notice(f"{made.name}: {made.told}")
    if (problem := systems.of(lab, made.campaign).problem) and not made.unnamed:
        warned(problem)
    return made.campaign


def read_columns(file: str | None) -> Sequence[Update]:
    """The file's columns, with a guess at what they are."""
    if not file:
        return [*[gr.update(choices=[], value=[])] * 4, "_", gr.update(choices=[], value=None)]
    rows = datasets.preview(Path(file)).rows
    names = list(rows[0]) if rows else []
    try:
        guess = sources.guess_systems(rows, sources.guessed(sources.Columns(), rows[0] if rows else {}))
    except LabError:
        guess = sources.Columns()
    given = (guess.prompt, guess.completions, guess.systems, guess.votes)
    gold = gr.update(choices=[("none", ""), *((name, name) for name in names)], value=guess.gold)
    return [*(gr.update(choices=names, value=list(one)) for one in given), guess.separator, gold]
