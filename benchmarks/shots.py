"""Which solved examples help a real model, and how many: random ones, the nearest by words, the nearest by meaning.

`python -m benchmarks.shots FOLDER --model MODEL --embedder EMBEDDER --out FILE`. FOLDER holds
`classification/{sms_spam_train,sst2_train,trec_train}.jsonl.gz` (fields text and label); what it lacks is left out and
named. MODEL and EMBEDDER are folders or whatever else `models add` takes. Every cell is one of a matrix: the same rows,
greedy, completions cut at the line's end, shots from the other part of the file. Figures are shares of exactly right
labels with Wilson intervals; ways of choosing are compared with random shots on the same rows (randomisation test).
The cells run in turn, the cheap ones first, and each is written to FILE when it is done.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import compare
from genai_lab.metrics import MetricSpec
from genai_lab.services import datasets, models
from genai_lab.services.matrix import MatrixPlan, cell_settings
from genai_lab.services.matrix.predicting import CellPlan, completions, row_prompts
from genai_lab.services.predictions import scoring

FILES = {"SMS spam": "sms_spam_train", "SST-2": "sst2_train", "TREC": "trec_train"}
TEMPLATE, FIGURE = "classify-labels", "accuracy"
FORMS = ("plain", "chat")
SHOTS = (0, 1, 4, 8)
SELECTORS = ("random", "similar", "embedding")
SEED, ROWS = 1, 200
GREEDY = Sampling(greedy=True, max_new_tokens=8, stop=("\n",))


@dataclass(frozen=True)
class Result:
    """The accuracy of a cell with its interval; `against_random` is the difference to random shots of the same rows.

    `commonest` is the accuracy of always naming the label that most of these rows have.
    """

    data: str
    form: str
    selector: str
    shots: int
    n: int
    accuracy: float
    low: float
    high: float
    commonest: float
    fitted: float
    seconds: float
    against_random: tuple[float, float, float, float] | None = None  # difference, low, high, p


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--embedder", help="without one, shots by meaning are left out")
    parser.add_argument("--data", action="append", choices=tuple(FILES), help="default: all")
    parser.add_argument("--form", action="append", choices=FORMS, help="default: both")
    parser.add_argument("--selector", action="append", choices=SELECTORS, help="default: all")
    parser.add_argument("--shots", action="append", type=int, help="default: 0, 1, 4, 8")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        places = (Path(name).resolve().parent for name in (options.model, options.embedder) if name)
        lab = bootstrap.open_lab(Config(home=Path(home), device="cpu", model_roots=tuple(places)))
        try:
            results = list(_measured(lab, options))
        finally:
            lab.close()
    print_table(results)
    return 0


def _measured(lab: LabContext, options: argparse.Namespace) -> Iterator[Result]:
    model = _added(lab, options.model, "model")
    embedder = _added(lab, options.embedder, "embedder") if options.embedder else ""
    versions = dict(_imported(lab, options))
    done: list[Result] = []
    right: dict[tuple[str, str, int], tuple[list[int], Any]] = {}
    for data, form, selector, k in _cells(versions, options, bool(embedder)):
        plan = MatrixPlan(
            versions[data], (model,), (TEMPLATE,), (k,), (selector,), (GREEDY,), (SEED,), options.rows, SEED,
            rendering=form, embedder=embedder, metrics=(MetricSpec("classification"),),
        )  # fmt: skip
        began = time.perf_counter()
        result, rows, values = _cell(lab, plan)
        seconds = time.perf_counter() - began
        if selector == "random":
            right[data, form, k] = rows, values
        difference = _difference(right.get((data, form, k)), rows, values) if selector != "random" else None
        way = selector if k else "none"
        done.append(Result(data, form, way, k, **result, seconds=seconds, against_random=difference))
        print(_line(done[-1]), flush=True)
        if options.out:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps([asdict(each) for each in done], indent=1) + "\n")
        yield done[-1]


def _cells(versions: dict[str, str], options: argparse.Namespace, embeds: bool) -> Iterator[tuple[str, str, str, int]]:
    """(data, form, selector, shots): random shots first, which are read once, then those of each row."""
    shots = options.shots or list(SHOTS)
    selectors = [name for name in options.selector or SELECTORS if embeds or name != "embedding"]
    for form in options.form or FORMS:
        for data in versions:
            yield from ((data, form, "random", k) for k in shots)
        for data in versions:
            yield from ((data, form, name, 4) for name in selectors if name != "random" and 4 in shots)
    for form in options.form or FORMS:
        for k in (k for k in sorted(shots, reverse=True) if k not in (0, 4)):
            for data in versions:
                yield from ((data, form, name, k) for name in selectors if name != "random")


def _cell(lab: LabContext, plan: MatrixPlan) -> tuple[dict[str, Any], list[int], Any]:
    """(figures, keys of the rows, whether each was right)."""
    [cell] = plan.cells()
    version = datasets.show(lab, plan.dataset)
    cell_plan = CellPlan(cell.model, cell.template, version.id, cell_settings(cell, plan), cell.seed)
    prompts = row_prompts(lab, cell_plan)
    answers = {item.row.example.key: item for item in completions(lab, cell_plan, prompts, use_cache=False)}
    if problem := next((item.error for item in answers.values() if item.error), None):
        raise LabError(problem)
    rows = [row.example for row in prompts]
    measured = scoring.measure(lab, plan.metrics[0], [[answers[row.key].text] for row in rows], rows, SEED)
    figure = measured.figures[FIGURE]
    fitted = sum(row.fitted.k for row in prompts) / len(prompts)
    commonest = max(Counter(row.label for row in rows).values()) / len(rows)
    ends = {"accuracy": figure.value, "low": figure.low, "high": figure.high, "commonest": commonest}
    return {"n": figure.n, "fitted": fitted, **ends}, [row.key for row in rows], np.array(figure.sample.values, float)


def _difference(base: Any, rows: list[int], values: Any) -> tuple[float, float, float, float] | None:
    if base is None or base[0] != rows:
        return None
    compared = compare(Sample(base[1]), Sample(values), seed=SEED)
    return compared.difference, compared.low, compared.high, compared.p_randomisation


def _added(lab: LabContext, location: str, name: str) -> str:
    """The name in the catalogue of a model that a location, or that name, tells."""
    try:
        return models.show(lab, location).card.name
    except LabError:
        return models.add(lab, name, models.detect_source(lab, location)).name


def _imported(lab: LabContext, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for data, stem in FILES.items():
        path = options.folder / "classification" / f"{stem}.jsonl.gz"
        if options.data and data not in options.data:
            continue
        if not path.is_file():
            print(f"{data} is left out: {path} is not there")
            continue
        split = SplitPlan("ratio", (0.8, 0.0, 0.2), seed=SEED)
        order = datasets.file_order(path, stem, mapping={"input": ["text"], "label": ["label"]}, split=split)
        yield data, datasets.make(lab, order).name


def _line(row: Result) -> str:
    beside = ""
    if row.against_random is not None:
        difference, low, high, p = row.against_random
        beside = f"  against random {difference:+.3f} ({low:+.3f} to {high:+.3f}), p {p:.3f}"
    fewer = f"  {row.fitted:.1f} fit" if row.fitted < row.shots else ""
    return (
        f"{row.data:9} {row.form:6} {row.selector:10} {row.shots} shots  {row.accuracy:.3f} "
        f"({row.low:.3f} to {row.high:.3f}), n = {row.n}, commonest label {row.commonest:.3f}"
        f"{fewer}{beside}  {row.seconds:.0f} s"
    )


def print_table(results: list[Result]) -> None:
    """As it stands in docs/benchmarks.md."""
    shots = sorted({row.shots for row in results})
    head = ["data", "commonest label", "form", "shots chosen", *map(str, shots)]
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    named = {"none": "random", "random": "random", "similar": "by words (TF-IDF)", "embedding": "by meaning"}
    by_cell = {(row.data, row.form, named[row.selector], row.shots): row for row in results}
    for data, form, way in dict.fromkeys(key[:3] for key in by_cell):
        cells = [by_cell.get((data, form, way, k)) for k in shots]
        texts = [f"{row.accuracy:.2f} ({row.low:.2f} to {row.high:.2f})" if row else "" for row in cells]
        commonest = next(f"{row.commonest:.2f}" for row in cells if row)
        print(f"| {data} | {commonest} | {form} | {way} | " + " | ".join(texts) + " |")


if __name__ == "__main__":
    sys.exit(main())
