"""What a real model does on real text: how many solved examples help, which ones, and in which form of prompt.

`python -m benchmarks.real_text FOLDER --home HOME --out FILE` runs the lab's own recipes and variations of their plans
as jobs, one evaluation each, and prints the tables of docs/benchmarks.md. FOLDER holds, as .jsonl.gz,
`classification/{sms_spam_train,sst2_train,trec_train}` and `summarization/dialogsum_dev`; what it lacks is left out and
named. The models come from the shelf where they are not in the lab's catalogue. With the same HOME a second call reads
what the first one has answered.

`shots` sets 0 to 8 random shots beside each other in plain and in chat form, `selectors` ways of choosing four beside
random ones, `draws` four random shots by other seeds, `summaries` 0, 1 and 3 shots by ROUGE, beside a summary that
repeats the first two turns. Systems of one table answer the same rows; they are compared with its first system by
paired tests (Holm over the table). An accuracy stands beside that of always naming the commonest label of its rows.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.methods import ended
from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import Example, SplitPlan
from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import compare as compare_samples
from genai_lab.models.shelf import SHELF
from genai_lab.prompts.few_shot import SELECTORS
from genai_lab.recipes import RECIPES
from genai_lab.recipes.recipe import SMOLLM2
from genai_lab.services import datasets, evaluation, models, recipes
from genai_lab.services.evaluation import EvaluationView, Key, SystemView
from genai_lab.services.evaluation.comparing import compare, compare_with_commonest_label, sample_of
from genai_lab.services.matrix import MatrixPlan
from genai_lab.services.models import shelf
from genai_lab.services.predictions import scoring
from genai_lab.services.recipes.recipe_data import import_file

FILES = {
    "sms-spam": "classification/sms_spam_train",
    "sst2": "classification/sst2_train",
    "trec": "classification/trec_train",
    "lab-1-summaries": "summarization/dialogsum_dev",
}
NAMES = {"sms-spam": "SMS spam", "sst2": "SST-2", "trec": "TREC", "lab-1-summaries": "DialogSum dev"}
EMBEDDER = "all-MiniLM-L6-v2"
SUMMARIES = "lab-1-summaries"
PARTS = ("shots", "selectors", "draws", "summaries")
WAYS = ("random", "balanced", "similar", "embedding")
SHOTS_OF_WAYS, SEEDS = 4, (1, 2, 3, 4, 5)
# Half of DialogSum's development part is asked, shots come from the rest.
SUMMARY_SPLIT = SplitPlan("ratio", (0.4, 0.0, 0.6), seed=1)
ROUGES = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True)
class Question:
    """One evaluation: a part's plan on the data of a recipe, in one form of prompt."""

    part: str
    recipe: str
    form: str

    @property
    def title(self) -> str:
        return f"{self.part}: {NAMES[self.recipe]}, {self.form}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=SMOLLM2, help="a folder, or a model of the shelf or the catalogue")
    parser.add_argument("--dtype", default="auto", help="in which torch loads it")
    parser.add_argument("--embedder", default=EMBEDDER, help='the same for shots by meaning; "" leaves them out')
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    parser.add_argument("--data", action="append", choices=tuple(FILES), help="default: all")
    parser.add_argument(
        "--form", action="append", choices=("plain", "chat"), help="default: both, where both are asked"
    )
    parser.add_argument("--shots", action="append", type=int, help="of shots and summaries; default: the recipe's")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--home", type=Path, help="keeps the runs and what was answered")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folders = tuple(
            Path(name).resolve().parent for name in (options.model, options.embedder) if Path(name).is_dir()
        )
        home = options.home or Path(temporary)
        roots = (*folders, home / "models")
        lab = bootstrap.open_lab(Config(home=home, device="cpu", dtype=options.dtype, model_roots=roots))
        try:
            results = list(_results(lab, options))
        finally:
            lab.close()
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def questions(options: argparse.Namespace) -> Iterator[Question]:
    """In the order in which they are asked, the cheap ones first."""
    asked = {
        "shots": (("sst2", "trec", "sms-spam"), ("plain", "chat")),
        "selectors": (("sst2", "trec"), ("plain",)),
        "draws": (("sst2", "trec"), ("plain",)),
        "summaries": ((SUMMARIES,), ("chat", "plain")),
    }
    for part in options.part or PARTS:
        names, forms = asked[part]
        for form in (form for form in forms if form in (options.form or forms)):
            yield from (Question(part, name, form) for name in names if name in (options.data or FILES))


def plan_of(question: Question, dataset: str, splits: list[str], model: str, embedder: str, rows: int) -> MatrixPlan:
    """The recipe's own plan with what the part varies."""
    plan = replace(
        recipes.matrix_plan(RECIPES.get(question.recipe), dataset, [model], splits, rows),
        rendering=question.form,  # type: ignore[arg-type]
    )
    if question.part == "selectors":
        ways = tuple(way for way in WAYS if embedder or way != "embedding")
        return replace(plan, shots=(SHOTS_OF_WAYS,), selectors=ways, embedder=embedder)
    return replace(plan, shots=(SHOTS_OF_WAYS,), seeds=SEEDS) if question.part == "draws" else plan


def _results(lab: LabContext, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    model = _in_catalogue(lab, options.model)
    needs_embedder = options.embedder and "selectors" in (options.part or PARTS)
    embedder = _in_catalogue(lab, options.embedder) if needs_embedder else ""
    versions: dict[str, datasets.VersionView] = {}
    for question in questions(options):
        path = options.folder / f"{FILES[question.recipe]}.jsonl.gz"
        if not path.is_file():
            print(f"{question.title} is left out: {path} is not there", flush=True)
            continue
        if question.recipe not in versions:
            versions[question.recipe] = _version(lab, question.recipe, path)
        version = versions[question.recipe]
        plan = plan_of(question, version.name, list(version.splits), model, embedder, options.rows)
        if options.shots and question.part in ("shots", "summaries"):
            plan = replace(plan, shots=tuple(options.shots))
        started = evaluation.run_models(lab, plan, title=question.title)
        ended(lab)
        view = evaluation.show(lab, started.run_id)
        if view.status != "finished":
            raise LabError(f"{question.title} {view.status}: {view.error}")
        yield _summary_table(lab, question, view) if question.part == "summaries" else _table(lab, question, view)


def _version(lab: LabContext, name: str, path: Path) -> datasets.VersionView:
    """The file as the recipe imports it; of DialogSum's 500 rows more are asked than by the recipe."""
    match = recipes.recognise(lab, path, preferred=name)
    if name != SUMMARIES:
        return import_file(lab, match, path)
    mapping = {role: [column] for role, column in match.roles.items()}
    return datasets.make(lab, datasets.file_order(path, "dialogsum dev", mapping=mapping, split=SUMMARY_SPLIT))


def _in_catalogue(lab: LabContext, name: str) -> str:
    """The catalogue's name of a model, which is added or got from the shelf where it is not here."""
    if Path(name).is_dir():
        title, known = Path(name).name, [view.card.name for view in models.catalogue(lab)]
        return title if title in known else models.add(lab, title, models.detect_source(lab, name)).name
    if name not in [entry.name for entry in SHELF]:
        return models.show(lab, name).card.name
    if not shelf.item(lab, name).models:
        shelf.get(lab, name)
        ended(lab)
    if not (present := shelf.item(lab, name).models):
        raise LabError(f"{name} could not be got: {shelf.item(lab, name).error}")
    return present[0]


def _table(lab: LabContext, question: Question, view: EvaluationView) -> dict[str, Any]:
    """Accuracies with intervals, differences from the first system, and what each is above the commonest label."""
    key = next(key for key in view.figures() if key[1] == "accuracy")
    first = view.systems[0]
    differences = {item.system: item for item in compare(lab, view, key, first.id)}
    cells, label, share = [], "", 0.0
    print(f"\n{question.title}, {key[2]}, evaluation {view.id}")
    print(f"| system | accuracy | less {_way(question, first)} | less the commonest label |\n|---|---|---|---|")
    for system in view.systems:
        score, beside = view.score(key, system.id), compare_with_commonest_label(lab, view, key, system.id)
        label, share, above = beside.label, beside.share, beside.comparison
        item = differences.get(system.id)
        compared = (
            _difference(item.comparison.difference, item.comparison.low, item.comparison.high, item.p) if item else ""
        )
        skill = _difference(above.difference, above.low, above.high, above.p_randomisation)
        print(f"| {_way(question, system)} | {_interval(score.value, score.low, score.high)} | {compared} | {skill} |")
        cells.append(
            {"system": system.label, "shots": system.settings.get("k"), "selector": system.settings.get("selector")}
            | {"value": score.value, "low": score.low, "high": score.high, "n": score.n}
            | {"compared": item.comparison if item else None, "p": item.p if item else None, "above_commonest": above}
        )
    print(f"n = {cells[0]['n']}; always naming {label!r}: {share:.3f}", flush=True)
    return _plain(question, view, key, cells) | {"commonest": [label, share]}


def _summary_table(lab: LabContext, question: Question, view: EvaluationView) -> dict[str, Any]:
    """ROUGE with intervals, the first two turns beside, and the differences of ROUGE-L from the first system."""
    keys = {key[1]: key for key in view.figures() if key[1] in ROUGES}
    main = keys[ROUGES[-1]]
    first = view.systems[0]
    sample, indices = sample_of(lab, view, main, first.id)
    rows = datasets.pick(lab, view.dataset_version_id, list(indices))
    lead = scoring.measure(lab, view.choices[0], [[first_turns(row)] for row in rows], rows, view.seed)
    print(f"\n{question.title}, {main[2]}, evaluation {view.id}")
    print(f"| system | ROUGE-1 | ROUGE-2 | ROUGE-L | ROUGE-L less {_way(question, first)} |\n|---|---|---|---|---|")
    cells = []
    differences = {item.system: item for item in compare(lab, view, main, first.id)}
    for system in view.systems:
        scores = {name: view.score(key, system.id) for name, key in keys.items()}
        item = differences.get(system.id)
        compared = (
            _difference(item.comparison.difference, item.comparison.low, item.comparison.high, item.p) if item else ""
        )
        texts = [_interval(score.value, score.low, score.high) for score in scores.values()]
        print(f"| {_way(question, system)} | {' | '.join(texts)} | {compared} |")
        figures = {name: [score.value, score.low, score.high] for name, score in scores.items()}
        cells.append({"system": system.label, "n": scores[main[1]].n, "compared": item and item.comparison, **figures})
    texts = [_interval(figure.value, figure.low, figure.high) for figure in (lead.figures[name] for name in keys)]
    beside = compare_samples(sample, Sample(np.array(lead.figures[main[1]].sample.values, float)), seed=view.seed)
    compared = _difference(beside.difference, beside.low, beside.high, beside.p_randomisation)
    print(f"| the first two turns | {' | '.join(texts)} | {compared} |\nn = {cells[0]['n']}", flush=True)
    figures = {name: [lead.figures[name].value, lead.figures[name].low, lead.figures[name].high] for name in keys}
    cells.append({"system": "the first two turns", "n": len(rows), "compared": beside, **figures})
    return _plain(question, view, main, cells)


def first_turns(row: Example) -> str:
    """What is said in the first two turns of a dialogue, without the names of the speakers."""
    turns = [line.partition(":")[2].strip() for line in (row.input or "").splitlines() if ":" in line]
    return " ".join(turns[:2])


def _way(question: Question, system: SystemView) -> str:
    """What tells a system of the question from the others."""
    if question.part == "selectors":
        return str(SELECTORS.get(str(system.settings["selector"])).title)
    if question.part == "draws":
        return f"seed {system.settings['sampling']['seed']}"
    k = system.settings.get("k") or 0
    return f"{k} shot{'' if k == 1 else 's'}"


def _plain(question: Question, view: EvaluationView, key: Key, cells: list[dict[str, Any]]) -> dict[str, Any]:
    plain_cells = [
        {name: vars(value) if hasattr(value, "p_bootstrap") else value for name, value in cell.items()}
        for cell in cells
    ]
    return {
        "title": question.title,
        "signature": key[2],
        "dataset": view.dataset,
        "seed": view.seed,
        "systems": plain_cells,
    }


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _difference(difference: float, low: float, high: float, p: float) -> str:
    return f"{difference:+.3f} ({low:+.3f} to {high:+.3f}), p {p:.3f}"


if __name__ == "__main__":
    sys.exit(main())
