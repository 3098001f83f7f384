"""`evaluate score|run|compare|suite|harness|list|show|report`: figures with their intervals, systems side by side."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, integer, number, print_json, with_lab

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("evaluate")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("evaluate", help="measure: score, run, compare, suite, harness, list, show, report")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    score = commands.add_parser("score", parents=[shared], help="one metric on a file of predictions and references")
    score.add_argument("--metric", required=True)
    score.add_argument("--data", required=True, metavar="FILE")
    score.add_argument("--prediction", required=True, metavar="COLUMN")
    score.add_argument("--reference", action="append", default=[], metavar="COLUMN", help="may be repeated")
    score.add_argument("--input", metavar="COLUMN", help="what an encoder-decoder reads, for --metric perplexity")
    score.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the metric")
    score.add_argument("--seed", type=integer, default=0, help="of the bootstrap (default: 0)")
    score.add_argument("--per-example", type=Path, metavar="OUT.jsonl")
    score.set_defaults(command=_score)
    run = commands.add_parser("run", parents=[shared], help="a model with a template on a dataset")
    run.add_argument("--model", required=True, action="append", help="may be repeated: systems side by side")
    run.add_argument("--dataset", required=True)
    run.add_argument("--template", required=True)
    run.add_argument("--metrics", required=True, help="comma-separated, such as rouge,bleu")
    run.add_argument("--shots", type=integer, default=0)
    run.add_argument("--selector", default="random")
    run.add_argument("--rows", type=integer, default=100)
    run.add_argument("--split", default="test")
    run.add_argument("--max-new-tokens", type=integer, default=128)
    run.add_argument("--num-return-sequences", type=integer, default=1, help="completions per row (default: 1)")
    run.add_argument("--temperature", type=float, default=0.0, help="0 is greedy decoding (default)")
    run.add_argument("--seed", type=integer, default=0)
    run.add_argument("--wait", action="store_true", help="stay until it has ended")
    run.set_defaults(command=_run)
    compare = commands.add_parser("compare", parents=[shared], help="systems (runs of the prompt lab) side by side")
    compare.add_argument("systems", type=number, nargs="+")
    compare.add_argument("--metrics", required=True)
    compare.add_argument("--baseline", type=number)
    compare.add_argument("--seed", type=integer, default=0)
    compare.add_argument("--wait", action="store_true")
    compare.set_defaults(command=_compare)
    suite = commands.add_parser("suite", parents=[shared], help="a suite on models, or all suites")
    suite.add_argument("name", nargs="?", help="without a name the suites are listed")
    suite.add_argument("--models", default="", help="names with commas between them")
    suite.add_argument("--wait", action="store_true")
    suite.set_defaults(command=_suite)
    harness = commands.add_parser("harness", parents=[shared], help="tasks of lm-evaluation-harness")
    harness.add_argument("--list", action="store_true", dest="listed", help="the tasks that there are")
    harness.add_argument("--model", action="append", default=[], help="may be repeated: systems side by side")
    harness.add_argument("--tasks", default="", help="comma-separated, such as arc_easy,hellaswag")
    harness.add_argument("--tasks-folder", type=Path, metavar="FOLDER", help="YAML files of further tasks")
    harness.add_argument("--shots", type=integer, help="default: each task's own")
    harness.add_argument("--limit", type=integer, help="at most so many documents a task")
    harness.add_argument("--seed", type=integer, default=0)
    harness.add_argument("--wait", action="store_true", help="stay until it has ended")
    harness.set_defaults(command=_harness)
    listing = commands.add_parser("list", parents=[shared], help="evaluations, newest first")
    listing.set_defaults(command=_list)
    show = commands.add_parser("show", parents=[shared], help="an evaluation's figures and verdicts")
    show.add_argument("evaluation", type=number)
    show.set_defaults(command=_show)
    report = commands.add_parser("report", parents=[shared], help="one self-contained HTML file, CSV or JSON Lines")
    report.add_argument("evaluation", type=number)
    report.add_argument("file", type=Path, metavar="FILE.html|.csv|.jsonl")
    report.set_defaults(command=_report)


def _score(options: argparse.Namespace) -> int:
    from genai_lab.errors import LabError
    from genai_lab.evaluation.files import predictions_of
    from genai_lab.metrics import METRICS, measure, settings_of

    metric = METRICS.get(options.metric)
    if metric.needs in ("references", "labels") and not options.reference:
        raise LabError(f"{metric.title} needs references; name their column with --reference.")
    made, references = predictions_of(Path(options.data), options.prediction, options.reference)
    settings = settings_of(options.metric, _settings(options.set))
    judge = _judge(options, settings, made)
    found = measure(options.metric, made, references, settings, model=judge, seed=options.seed)
    if options.per_example:
        _write_rows(options.per_example, {name: one.sample.values for name, one in found.figures.items()})
    figures = {
        name: {"value": one.value, "low": one.low, "high": one.high, "n": one.n} for name, one in found.figures.items()
    }
    if options.json:
        print_json(
            {
                "metric": options.metric,
                "signature": found.signature,
                "settings": dataclasses.asdict(settings),
                "n": len(made),
                "interval": 0.95,
                "seed": options.seed,
                "figures": figures,
                "detail": found.detail,
            }
        )
        return 0
    print(f"{metric.title}, n = {len(made):,}, {found.signature}")
    for name, one in found.figures.items():
        print(f"  {name:<20} {_number(one.value)}  95 % interval {_number(one.low)} to {_number(one.high)}")
    for warning in found.detail.get("warnings", ()):
        print(f"  Warning: {warning}")
    return 0


@with_lab
def _run(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.decoding import Sampling
    from genai_lab.services import evaluation, matrix

    choices = tuple(_choices(options.metrics))
    decoding = {"temperature": options.temperature} if options.temperature else {"greedy": True}
    plan = matrix.Plan(
        dataset=options.dataset,
        models=tuple(options.model),
        templates=(options.template,),
        shots=(options.shots,),
        selectors=(options.selector,),
        samplings=(Sampling.from_dict(decoding | {"max_new_tokens": options.max_new_tokens}),),
        num_return_sequences=options.num_return_sequences,
        seeds=(options.seed,),
        rows=options.rows,
        split=options.split,
        metrics=choices,
    )
    _told(lab, evaluation.run_models(lab, plan, seed=options.seed), options)


@with_lab
def _suite(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.evaluation import suites

    if options.name:
        models = [one.strip() for one in options.models.split(",") if one.strip()]
        _told(lab, suites.run(lab, options.name, models), options)
        return
    found = [{"name": one.name, "about": one.about, "template": one.template} for one in suites.load_all()]
    if options.json:
        print_json(found)
        return
    for one in found:
        print(f"{one['name']:<20} {one['about']}")


@with_lab
def _harness(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.cli.jobs import waited
    from genai_lab.evaluation.harness import task_names
    from genai_lab.services import jobs
    from genai_lab.services.evaluation import harness

    if options.listed:
        names = task_names(options.tasks_folder)
        print_json(names) if options.json else print("\n".join(names))
        return
    job = harness.start(
        lab,
        options.model,
        options.tasks.split(","),
        shots=options.shots,
        limit=options.limit,
        seed=options.seed,
        folder=options.tasks_folder,
    )
    if not options.wait:
        print_json({"job": job}) if options.json else print(f"Queued as job {job}; `jobs wait {job}` stays with it.")
        return
    waited(lab, job, None)
    for run in (jobs.show(lab, job).result or {})["evaluations"]:
        _printed(lab, run, options.json)


@with_lab
def _compare(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import evaluation

    begun = evaluation.start(
        lab, options.systems, _choices(options.metrics), baseline=options.baseline, seed=options.seed
    )
    _told(lab, begun, options)


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import evaluation

    found = evaluation.find(lab)
    if options.json:
        print_json([_view(one) for one in found])
        return
    for one in found:
        print(f"{one.id:>5}  {one.status:<10} {one.dataset:<24} {len(one.systems)} systems  {one.title}")
    if not found:
        print("No evaluations yet.")


@with_lab
def _show(lab: "LabContext", options: argparse.Namespace) -> None:
    _printed(lab, options.evaluation, options.json)


@with_lab
def _report(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.errors import LabError
    from genai_lab.services import evaluation
    from genai_lab.services.evaluation import report

    view = evaluation.show(lab, options.evaluation)
    kinds = {".csv": report.to_csv, ".jsonl": report.to_jsonl, ".html": lambda one: report.to_html(lab, one)}
    if options.file.suffix not in kinds:
        raise LabError(f"{options.file} has no known ending; use .html, .csv or .jsonl.")
    try:
        options.file.write_text(kinds[options.file.suffix](view), encoding="utf-8")
    except OSError as problem:
        raise LabError(f"{options.file} cannot be written ({problem.strerror}); choose another place.") from None
    print_json({"evaluation": view.id, "file": str(options.file)}) if options.json else print(f"Wrote {options.file}.")


def _told(lab: "LabContext", begun: Any, options: argparse.Namespace) -> None:
    if options.wait:
        from genai_lab.cli.jobs import waited

        waited(lab, begun.job_id, None)  # type: ignore[arg-type]
        _printed(lab, begun.run_id, options.json)
    elif options.json:
        print_json({"evaluation": begun.run_id, "job": begun.job_id})
    else:
        print(f"Evaluation {begun.run_id} is queued as job {begun.job_id}; `jobs wait {begun.job_id}` stays with it.")


def _printed(lab: "LabContext", run_id: int, as_json: bool) -> None:
    from genai_lab.evaluation.figures import title_of
    from genai_lab.services import evaluation
    from genai_lab.services.evaluation.comparing import compare

    view = evaluation.show(lab, run_id)
    verdicts = []
    for key in view.figures():
        if len(view.systems) > 1 and view.status == "finished":
            verdicts += [
                {"metric": key[0], "figure": key[1], "verdict": one.verdict} for one in compare(lab, view, key)
            ]
    if as_json:
        print_json(_view(view) | {"verdicts": verdicts})
        return
    print(f"{view.title} on {view.dataset}, {view.status}")
    for score in view.scores:
        ends = f"95 % interval {_number(score.low)} to {_number(score.high)}"
        print(
            f"  {view.system(score.system).label:<32} {score.figure:<18} {_number(score.value)}  {ends}, n = {score.n}"
        )
    for warning in dict.fromkeys(f"{title_of(one.metric)}: {text}" for one in view.scores for text in one.warnings):
        print(f"  Warning: {warning}")
    for found in verdicts:
        print(f"  {found['verdict']}")


def _view(view: Any) -> dict[str, Any]:
    made = dataclasses.asdict(view)
    made["created_at"] = view.created_at.isoformat()
    for system in made["systems"]:
        system["created_at"] = system["created_at"].isoformat()
    for score in made["scores"]:
        score.pop("per_example")
    return made


def _choices(text: str) -> Any:
    from genai_lab.services.evaluation import Choice

    return [Choice(name.strip()) for name in text.split(",") if name.strip()]


def _write_rows(path: Path, values: dict[str, list[float | None]]) -> None:
    from genai_lab.errors import LabError

    try:
        with path.open("w", encoding="utf-8") as stream:
            for number, row in enumerate(zip(*values.values(), strict=True), 1):
                stream.write(json.dumps({"row": number, **dict(zip(values, row, strict=True))}) + "\n")
    except OSError as problem:
        raise LabError(f"{path} cannot be written ({problem.strerror}); choose another place.") from None


def _judge(options: argparse.Namespace, settings: Any, predictions: "Sequence[Sequence[str]]") -> Any:
    """The model of a metric that asks one; the lab is opened for those alone."""
    from genai_lab.metrics import METRICS

    if METRICS.get(options.metric).needs != "model":
        return None
    from genai_lab import bootstrap
    from genai_lab.config import Config
    from genai_lab.evaluation.files import predictions_of
    from genai_lab.services.scorers import scorer_for

    inputs = predictions_of(Path(options.data), options.input, [])[0] if options.input else []
    sources = [texts[0] for texts, row in zip(inputs, predictions, strict=False) for _ in row]
    lab = bootstrap.open_lab(Config.from_environment(home=options.home))
    try:
        return scorer_for(lab, options.metric, settings, sources)
    finally:
        lab.close()


def _settings(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; true, false and numbers are read as such."""
    from genai_lab.errors import LabError

    made: dict[str, Any] = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found or not name:
            raise LabError(f"{pair!r} sets nothing; write NAME=VALUE, such as use_stemmer=true.")
        try:
            made[name.strip()] = json.loads(value)
        except ValueError:
            made[name.strip()] = value
    return made


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
