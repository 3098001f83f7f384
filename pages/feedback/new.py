"""The tab "New campaign": fresh candidates, completions that are there already, a dataset or a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.feedback import CRITERIA, CampaignPlan
from genai_lab.lab import Lab
from genai_lab.services import datasets, evaluation, generation, models, templates
from genai_lab.services import feedback as service
from genai_lab.services.feedback import fresh, sources
from pages.components.errors import PRIVATE, guarded, notice

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

    def __init__(self, lab: Lab, begun: gr.State) -> None:
        example = gr.Button(
            "Example: starter models answer six prompts", size="sm", scale=0, min_width=280, elem_id="fb-example"
        )
        with gr.Row():
            name = gr.Textbox(label="Name", max_lines=1, elem_id="fb-new-name")
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
        with gr.Row():
            kind = gr.Radio(
                [("pairs", "pairwise"), ("rankings of up to 6", "ranking")],
                value="pairwise",
                label="Annotators see",
                elem_id="fb-kind",
            )
            overlap = gr.Number(2, precision=0, label="Overlap", info="Annotators an item.", elem_id="fb-overlap")
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
        with gr.Accordion("Guidelines and answers", open=False, elem_id="fb-more"):
            guidelines = gr.Textbox(GUIDELINES, label="Guidelines", lines=6, elem_id="fb-guidelines")
            with gr.Row():
                ties = gr.Checkbox(True, label="Ties allowed", elem_id="fb-ties")
                bad = gr.Checkbox(True, label="'Both bad' allowed", elem_id="fb-bad")
        plan = [name, criterion, own, kind, overlap, repeats, seed, guidelines, ties, bad]
        criterion.change(lambda one: gr.update(visible=one == OWN), criterion, own, **PRIVATE)
        with gr.Tabs(elem_id="fb-source") as places:
            with gr.Tab("Fresh completions", id="fresh"):
                drawn = self._fresh(lab, plan, begun)
            with gr.Tab("Completions that are there", id="runs"):
                runs = self._runs(lab, plan, begun)
            with gr.Tab("File"):
                self._file(lab, plan, begun)
        self.offers = [places, *drawn, *runs]
        example.click(guarded(begin_example, lab), None, begun, concurrency_id="models", **PRIVATE)

    def _fresh(self, lab: Lab, plan: list[Any], begun: gr.State) -> list[Any]:
        with gr.Row():
            chosen = gr.Dropdown([], multiselect=True, label="Models", max_choices=6, elem_id="fb-models")
            samples = gr.Number(
                2, precision=0, label="Completions a model", info="2 to 6 an item in all.", elem_id="fb-samples"
            )
            temperature = gr.Textbox(
                "1",
                label="Temperatures",
                info="Several with commas; 0 is greedy.",
                max_lines=1,
                elem_id="fb-temperature",
            )
            tokens = gr.Number(64, precision=0, label="Max new tokens", elem_id="fb-tokens")
        with gr.Row():
            prompts = gr.Textbox(
                label="Prompts", info="One a line; or choose a dataset.", lines=4, elem_id="fb-prompts"
            )
            with gr.Column():
                dataset = gr.Dropdown([], label="Dataset", elem_id="fb-dataset-of", interactive=True)
                with gr.Row():
                    template = gr.Dropdown([], label="Template", elem_id="fb-template", interactive=True)
                    rows = gr.Number(50, precision=0, label="Rows", info="Drawn with the seed.", elem_id="fb-rows")
        run = gr.Button("Draw completions", variant="primary", scale=0, min_width=150, elem_id="fb-draw")
        inputs = [*plan, chosen, samples, temperature, tokens, prompts, dataset, template, rows]
        run.click(guarded(begin_fresh, lab), inputs, begun, concurrency_id="models", **PRIVATE)
        return [chosen, dataset, template]

    def _runs(self, lab: Lab, plan: list[Any], begun: gr.State) -> list[Any]:
        with gr.Row():
            systems = gr.Dropdown(
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
        run.click(guarded(begin_runs, lab), [*plan, systems, numbers], begun, **PRIVATE)
        return [systems, numbers]

    def _file(self, lab: Lab, plan: list[Any], begun: gr.State) -> None:
        file = gr.File(
            label="JSON Lines, CSV or Parquet",
            file_types=[".jsonl", ".csv", ".json", ".gz", ".parquet", ".tsv"],
            height=110,
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
                info="Who wrote each; may stay empty.",
                elem_id="fb-system-columns",
            )
            votes = gr.Dropdown(
                [],
                multiselect=True,
                label="Votes",
                info="Annotators' columns: 0 tie, 1, 2, or groups as JSON.",
                elem_id="fb-vote-columns",
            )
            gold = gr.Dropdown([], label="Gold", info="The known best, as a check.", elem_id="fb-gold-column")
        run = gr.Button("Import", variant="primary", scale=0, min_width=150, elem_id="fb-import")
        chosen = [prompt, completions, names, votes, gold]
        file.change(guarded(columns), file, chosen, **PRIVATE)
        run.click(guarded(begin_file, lab), [*plan, file, *chosen], begun, **PRIVATE)


def offered(lab: Lab, runs: str = "") -> Sequence[Update]:
    """What can be chosen now; `runs` are numbers from the address, as other pages send them."""
    names = [view.card.name for view in models.catalogue(lab) if view.card.modes]
    found, _ = datasets.find(lab, "", 200)
    kept = [view.name for view in templates.find(lab)]
    known = [(f"{one.id}: {one.label} on {one.dataset} (n = {one.n})", one.id) for one in evaluation.systems(lab)]
    numbers = ", ".join(part for part in runs.split(",") if part.strip().isdecimal())
    return (
        gr.update(selected="runs") if numbers else gr.skip(),
        gr.update(choices=names, value=names[:1]),
        gr.update(choices=["", *(view.name for view in found)], value=""),
        gr.update(choices=kept, value=next((one for one in kept if one.startswith("plain")), None)),
        gr.update(choices=known),
        gr.update(value=numbers),
    )


def plan_of(lab: Lab, fallback: str, values: Sequence[Any]) -> CampaignPlan:
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


def _free(lab: Lab, name: str) -> str:
    taken = {view.name for view in service.find(lab)}
    number, made = 1, name[:100]
    while made in taken:
        number += 1
        made = f"{name[:100]} {number}"
    return made


def begin_example(lab: Lab) -> int:
    """Completions of a starter model on six prompts, to be ranked in a minute."""
    plan = CampaignPlan(_free(lab, "Starter stories"), "helpful", GUIDELINES, "ranking", overlap=2, repeats=0.1)
    sampling = Sampling(temperature=1.1, max_new_tokens=40)
    made = fresh.start(lab, plan, ["starter-causal"], prompts=EXAMPLE, samplings=[sampling], samples=3, opened=True)
    notice(f"{plan.name}: its completions are being drawn; invite yourself meanwhile.")
    return made.campaign


def begin_fresh(lab: Lab, *values: Any) -> int:
    *plan, chosen, samples, temperature, tokens, prompts, dataset, template, rows = values
    texts = [line for line in (prompts or "").splitlines() if line.strip()]
    if not chosen:
        raise LabError("No model is chosen; choose at least one.")
    if not texts and not dataset:
        raise LabError("There are no prompts; write one a line, or choose a dataset.")
    made = fresh.start(
        lab,
        plan_of(lab, "Fresh completions", plan),
        chosen,
        dataset=dataset or "",
        prompts=texts,
        template=template or "plain",
        samplings=fresh.samplings(_temperatures(temperature), int(tokens or 0)),
        samples=int(samples or 0),
        rows=int(rows or 0),
        seed=int(plan[6] or 0),
    )
    notice("Its completions are being drawn; invite annotators meanwhile.")
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


def begin_runs(lab: Lab, *values: Any) -> int:
    *plan, systems, numbers = values
    given = [part.strip() for part in (numbers or "").split(",") if part.strip()]
    wrong = next((part for part in given if not part.isdecimal()), None)
    if wrong is not None:
        raise LabError(f"{wrong[:40]!r} is no number of a run; write numbers with commas, such as 12, 13.")
    ids = [*(systems or []), *map(int, given)]
    if not ids:
        raise LabError("No run is chosen; choose systems, or write numbers of runs.")
    made = sources.from_runs(lab, plan_of(lab, f"Runs {', '.join(map(str, ids))}"[:100], plan), ids)
    return told(made)


def from_group(lab: Lab, group: str) -> str:
    """The numbers of a comparison's runs, for the address."""
    return ",".join(str(view.id) for view in generation.group_runs(lab, group))


def begin_file(lab: Lab, *values: Any) -> int:
    *plan, file, prompt, completions, names, votes, gold = values
    if not file:
        raise LabError("No file is chosen; upload one with prompts and completions.")
    wanted = sources.Columns(
        tuple(prompt or ()), tuple(completions or ()), tuple(names or ()), tuple(votes or ()), gold or ""
    )
    path = Path(file)
    made = sources.from_file(lab, plan_of(lab, path.name.split(".")[0] or "Import", plan), path, wanted)
    return told(made)


def told(made: service.Made) -> int:
    notice(f"{made.name}: {made.told}")
    return made.campaign


def columns(file: str | None) -> Sequence[Update]:
    """The file's columns, with a guess at what they are."""
    if not file:
        return [*[gr.update(choices=[], value=[])] * 4, gr.update(choices=[], value=None)]
    rows, _, _ = datasets.preview(Path(file))
    names = list(rows[0]) if rows else []
    try:
        guess = sources.guessed(sources.Columns(), rows[0] if rows else {})
    except LabError:
        guess = sources.Columns()
    given = (guess.prompt, guess.completions, guess.systems, guess.votes)
    gold = gr.update(choices=[("none", ""), *((name, name) for name in names)], value=guess.gold)
    return [*(gr.update(choices=names, value=list(one)) for one in given), gold]
