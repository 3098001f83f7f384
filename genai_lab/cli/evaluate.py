"""`evaluate score|run|compare|upload|suite|harness|list|show|report`: scores with intervals."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import metric_options
from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, number, print_json, real, several, wait, with_lab
from genai_lab.cli.matrices import decimal, embedding_options, interval

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.api.evaluation import Evaluation
    from genai_lab.metrics import Measured


@COMMANDS.register("evaluate")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("evaluate", help="score, run, compare, upload, suite, harness, list, show, report")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    _add_score(commands, shared)
    _add_run(commands, shared)
    _add_systems(commands, shared)
    _add_suites(commands, shared)
    listing = commands.add_parser("list", parents=[shared], help="evaluations, newest first")
    listing.set_defaults(command=_list)
    show = commands.add_parser("show", parents=[shared], help="an evaluation's figures and verdicts")
    show.add_argument("evaluation", type=number)
    show.set_defaults(command=_show)
    report = commands.add_parser("report", parents=[shared], help="one self-contained HTML file, CSV or JSON Lines")
    report.add_argument("evaluation", type=number)
    report.add_argument("file", type=Path, metavar="FILE.html|.csv|.jsonl")
    report.set_defaults(command=_report)


def _add_score(commands: "Parsers[Parser]", shared: Parser) -> None:
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


def _add_run(commands: "Parsers[Parser]", shared: Parser) -> None:
    run = commands.add_parser("run", parents=[shared], help="models with a template on a dataset")
    several(run, "--model", "a model: systems side by side", required=True)
    run.add_argument("--dataset", required=True)
    several(run, "--template", "NAME, NAME@2 or NAME@TAG", required=True)
    several(run, "--metric", "a metric, such as rouge", required=True)
    metric_options.add_settings(run)
    several(run, "--shots", "how many solved examples (default: 0)", kind=integer, aliases=())
    several(run, "--selector", "how they are chosen (default: random)")
    embedding_options(run)
    run.add_argument("--rows", type=integer, default=100)
    run.add_argument("--split", default="test")
    several(run, "--temperature", "0 is greedy, as is no temperature", kind=real)
    several(run, "--preset", "sampling settings under this name")
    run.add_argument("--max-new-tokens", type=integer, default=128)
    run.add_argument("--num-return-sequences", "--n", type=integer, default=1, help="completions per row")
    run.add_argument("--seed", type=integer, default=0)
    run.add_argument("--title", default="")
    run.add_argument("--wait", action="store_true", help="wait until it has finished")
    run.set_defaults(command=_run)


def _add_systems(commands: "Parsers[Parser]", shared: Parser) -> None:
    compare = commands.add_parser("compare", parents=[shared], help="systems (runs of the prompt lab) side by side")
    compare.add_argument("systems", type=number, nargs="+")
    several(compare, "--metric", "a metric, such as rouge", required=True)
    metric_options.add_settings(compare)
    compare.add_argument("--baseline", type=number)
    compare.add_argument("--seed", type=integer, default=0)
    compare.add_argument("--wait", action="store_true")
    compare.set_defaults(command=_compare)
    upload = commands.add_parser("upload", parents=[shared], help="predictions in a file, as systems to compare")
    upload.add_argument("file", type=Path, metavar="FILE")
    several(upload, "--prediction", "a column of predictions, which becomes a system", required=True, metavar="COLUMN")
    several(upload, "--reference", "a column of references", metavar="COLUMN")
    upload.add_argument("--input", metavar="COLUMN", help="what the predictions answer")
    upload.set_defaults(command=_upload)


def _add_suites(commands: "Parsers[Parser]", shared: Parser) -> None:
    suite = commands.add_parser("suite", parents=[shared], help="a suite on models, or all suites")
    suite.add_argument("name", nargs="?", help="without a name, list the suites")
    several(suite, "--model", "a model")
    suite.add_argument("--wait", action="store_true")
    suite.set_defaults(command=_suite)
    harness = commands.add_parser("harness", parents=[shared], help="tasks of lm-evaluation-harness")
    harness.add_argument("--list", action="store_true", dest="listed", help="list the known tasks")
    several(harness, "--model", "a model: systems side by side")
    several(harness, "--task", "a task, such as arc_easy")
    harness.add_argument("--tasks-folder", type=Path, metavar="FOLDER", help="folder with YAML files of more tasks")
    harness.add_argument("--shots", type=integer, help="default: each task's own")
    harness.add_argument("--limit", type=integer, help="at most this many documents per task")
    harness.add_argument("--seed", type=integer, default=0)
    harness.add_argument("--wait", action="store_true", help="wait until it has finished")
    harness.set_defaults(command=_harness)


def _score(options: argparse.Namespace) -> int:
    from genai_lab.errors import LabError
    from genai_lab.evaluation.files import predictions_of
    from genai_lab.metrics import METRICS, requirements, settings_of

    metric = METRICS.get(options.metric)
    settings = settings_of(options.metric, metric_options.settings_of(options.set))
    if requirements(metric, settings).references and not options.reference:
        raise LabError(f"{metric.title} needs references; name their column with --reference.")
    predictions, references = predictions_of(Path(options.data), options.prediction, options.reference)
    measured = _measured(options, predictions, references, settings)
    if options.per_example:
        rows = {name: figure.sample.values for name, figure in measured.figures.items()}
        _write_rows(options.per_example, rows)
    if options.json:
        figures = {name: _figure_fields(figure) for name, figure in measured.figures.items()}
        print_json(
            {
                "metric": options.metric,
                "signature": measured.signature,
                "settings": settings,
                "n": len(predictions),
                "interval": 0.95,
                "seed": options.seed,
                "figures": figures,
                "detail": measured.detail,
            }
        )
        return 0
    print(f"{metric.title}, n = {len(predictions):,}, {measured.signature}")
    for name, figure in measured.figures.items():
        ends = f"{decimal(figure.low)} to {decimal(figure.high)}"
        print(f"  {name:<20} {decimal(figure.value)}  95 % interval {ends}")
    for warning in measured.detail.get("warnings", ()):
        print(f"  Warning: {warning}")
    return 0


def _figure_fields(figure: Any) -> dict[str, Any]:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "n": figure.n}


def _measured(
    options: argparse.Namespace, predictions: list[list[str]], references: list[list[str]], settings: Any
) -> "Measured":
    """The metric's figures; the lab is opened only for a metric that asks a model."""
    from genai_lab.metrics import METRICS, measure, requirements

    if not requirements(METRICS.get(options.metric), settings).scorer:
        return measure(options.metric, predictions, references, settings, seed=options.seed)
    from genai_lab import bootstrap
    from genai_lab.config import Config
    from genai_lab.evaluation.files import predictions_of
    from genai_lab.services.scorers import scorer_for

    inputs = predictions_of(Path(options.data), options.input, [])[0] if options.input else []
    sources = [texts[0] for texts, row in zip(inputs, predictions, strict=False) for _ in row]
    context = bootstrap.open_lab(Config.from_environment(home=options.home))
    try:
        model = scorer_for(context, options.metric, settings, sources)
        return measure(options.metric, predictions, references, settings, model=model, seed=options.seed)
    finally:
        context.close()


@with_lab
def _run(lab: "Lab", options: argparse.Namespace) -> None:
    evaluation = lab.evaluate(
        options.model,
        options.dataset,
        template=options.template,
        metrics=metric_options.metric_specs(options.metric, options.set),
        shots=options.shots or [0],
        selectors=options.selector or ["random"],
        embedder=options.embedder,
        diversity=options.diversity,
        rows=options.rows,
        split=options.split,
        temperatures=options.temperature or [],
        presets=options.preset or [],
        max_new_tokens=options.max_new_tokens,
        num_return_sequences=options.num_return_sequences,
        seeds=options.seed,
        title=options.title,
    )
    _print_started(lab, evaluation, options)


@with_lab
def _upload(lab: "Lab", options: argparse.Namespace) -> None:
    runs = lab.evaluations.upload(options.file, options.prediction, options.reference or [], options.input)
    if options.json:
        return print_json({"systems": runs})
    for column, run in zip(options.prediction, runs, strict=True):
        print(f"{run:>5}  {column}")
    return None


@with_lab
def _suite(lab: "Lab", options: argparse.Namespace) -> None:
    if options.name:
        return _print_started(lab, lab.evaluations.run_suite(options.name, options.model or []), options)
    suites = lab.evaluations.suites()
    if options.json:
        return print_json(suites)
    for suite in suites:
        print(f"{suite.name:<20} {suite.about}")
    return None


@with_lab
def _harness(lab: "Lab", options: argparse.Namespace) -> None:
    from genai_lab.evaluation.harness import task_names

    if options.listed:
        names = task_names(options.tasks_folder)
        print_json(names) if options.json else print("\n".join(names))
        return
    job = lab.evaluations.start_harness(
        options.model or [],
        options.task or [""],
        shots=options.shots,
        limit=options.limit,
        seed=options.seed,
        folder=options.tasks_folder,
    )
    if not options.wait:
        print_json({"job": job}) if options.json else print(f"Queued as job {job}; `jobs wait {job}` stays with it.")
        return
    wait(lab, job)
    for evaluation in lab.evaluations.of_harness(job):
        _print(evaluation, options.json)


@with_lab
def _compare(lab: "Lab", options: argparse.Namespace) -> None:
    metrics = metric_options.metric_specs(options.metric, options.set)
    evaluation = lab.evaluations.compare(options.systems, metrics, baseline=options.baseline, seed=options.seed)
    _print_started(lab, evaluation, options)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.evaluations.list()
    if options.json:
        print_json(views)
        return
    for view in views:
        print(f"{view.id:>5}  {view.status:<10} {view.dataset:<24} {len(view.systems)} systems  {view.title}")
    if not views:
        print("No evaluations yet.")


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.evaluations.get(options.evaluation), options.json)


@with_lab
def _report(lab: "Lab", options: argparse.Namespace) -> None:
    path = lab.evaluations.get(options.evaluation).report(options.file)
    print_json({"evaluation": options.evaluation, "file": path}) if options.json else print(f"Wrote {path}.")


def _print_started(lab: "Lab", evaluation: "Evaluation", options: argparse.Namespace) -> None:
    job = evaluation.job_id
    if options.wait:
        wait(lab, job)
        _print(evaluation, options.json)
    elif options.json:
        print_json({"evaluation": evaluation.id, "job": job})
    else:
        print(f"Evaluation {evaluation.id} is queued as job {job}; `jobs wait {job}` stays with it.")


def _print(evaluation: "Evaluation", as_json: bool) -> None:
    from genai_lab.evaluation.figures import title_of

    if as_json:
        print_json(evaluation)
        return
    view = evaluation.view
    print(f"{view.title} on {view.dataset}, {view.status}")
    for score in view.scores:
        label = view.system(score.system).label
        print(f"  {label:<32} {score.figure:<18} {decimal(score.value)}  {interval(score)}")
    warnings = (f"{title_of(score.metric)}: {text}" for score in view.scores for text in score.warnings)
    for warning in dict.fromkeys(warnings):
        print(f"  Warning: {warning}")
    for verdict in evaluation.verdicts:
        print(f"  {verdict['verdict']}")


def _write_rows(path: Path, values: dict[str, list[float | None]]) -> None:
    from genai_lab.errors import LabError

    try:
        with path.open("w", encoding="utf-8") as stream:
            for index, row in enumerate(zip(*values.values(), strict=True), 1):
                stream.write(json.dumps({"row": index, **dict(zip(values, row, strict=True))}) + "\n")
    except OSError as problem:
        raise LabError(f"{path} cannot be written ({problem.strerror}); choose another path.") from None
