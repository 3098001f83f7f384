"""`study`: several runs and what compares them, from the plan in a file."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import (
    COMMANDS,
    Parser,
    Parsers,
    integer,
    number,
    print_json,
    real,
    several,
    text_of,
    with_lab,
)
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.api.training import Study
    from genai_lab.training import TrainingPlan


@COMMANDS.register("study")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("study", help="sweep, bake-off, shots, forgetting, learning-curve, annotators, gate")
    commands = group.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str, run: Any, *, plan: bool = False) -> Parser:
        parser: Parser = commands.add_parser(name, parents=[shared], help=text)
        parser.set_defaults(command=run)
        if plan:
            parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the plan of the runs")
        if run not in (_list, _show, _cancel):
            parser.add_argument("--title", default="")
            parser.add_argument("--wait", action="store_true", help="wait until all runs have finished, and print it")
        return parser

    command("list", "studies, the newest first", _list)
    command("show", "one study with its figures", _show).add_argument("study", type=number)
    command("cancel", "end all that it has begun", _cancel).add_argument("study", type=number)
    sweep = command("sweep", "a run for every combination of values", _sweep, plan=True)
    sweep.add_argument(
        "--set", action="append", required=True, metavar="PATH=V1,V2", help="such as training.learning_rate=1e-4,1e-3"
    )
    sweep.add_argument("--draws", type=integer, default=0, help="only this many of them, drawn with the plan's seed")
    bake_off = command("bake-off", "methods side by side on held-out rows", _bake_off, plan=True)
    several(bake_off, "--method", "a method", required=True)
    bake_off.add_argument("--memory-gb", type=real, help="equal memory instead of equal steps")
    _held_out_options(bake_off)
    shots = command("shots", "shots of the base against tuning", _shots, plan=True)
    several(shots, "--shots", "so many solved examples for the base", kind=integer, required=True, aliases=())
    several(shots, "--method", "a method that tunes", required=True)
    _held_out_options(shots)
    forgetting = command("forgetting", "what tuned models lost, on suites", _forgetting)
    forgetting.add_argument("--base", required=True)
    several(forgetting, "--model", "a tuned model", required=True)
    several(forgetting, "--suite", "a suite", required=True)
    gate = command("gate", "saved evaluations again, with a tuned model in the base's place", _gate)
    several(gate, "--evaluation", "an evaluation that the base took part in", kind=integer, required=True)
    gate.add_argument("--base", required=True)
    gate.add_argument("--model", required=True, help="the tuned model")
    curve = command("learning-curve", "reward models from shares of the labels", _curve)
    curve.add_argument("run", type=number, help="the run of a reward model")
    several(curve, "--share", "a share of the training prompts (default: 0.25, 0.5, 1)", kind=real)
    annotators = command("annotators", "reward models without each annotator's votes", _annotators)
    annotators.add_argument("run", type=number, help="the run of a reward model")
    several(annotators, "--annotator", "only this one (default: all)")
    annotators.add_argument("--flip", action="store_true", help="reverse the votes instead of leaving them out")


def _held_out_options(parser: Parser) -> None:
    parser.add_argument("--rows", type=integer, default=200, help="held-out rows (default: 200)")
    parser.add_argument("--split", default="test")
    parser.add_argument("--max-new-tokens", type=integer, default=64)
    several(parser, "--metric", "a metric (default: rouge)")
    parser.add_argument("--seed", type=integer, default=0)


def _held_out(options: argparse.Namespace) -> dict[str, Any]:
    metrics = {"metrics": options.metric} if options.metric else {}
    names = ("rows", "split", "max_new_tokens", "seed")
    return {name: getattr(options, name) for name in names} | metrics


def _plan(options: argparse.Namespace) -> "TrainingPlan":
    from genai_lab.training import TrainingPlan

    return TrainingPlan.from_yaml(text_of(options.config, "plan"))


@with_lab
def _sweep(lab: "Lab", options: argparse.Namespace) -> None:
    grid = dict(map(_values, options.set))
    _print_started(lab.studies.sweep(_plan(options), grid, draws=options.draws, title=options.title), options)


def _values(text: str) -> tuple[str, list[Any]]:
    """PATH=V1,V2 as a path in the plan and its values; numbers, true and false are read as such."""
    path, equals, values = text.partition("=")
    if not equals or not values:
        raise LabError(f"{text!r} varies nothing; write PATH=V1,V2, such as training.learning_rate=1e-4,1e-3.")
    return path.strip(), [_value(value.strip()) for value in values.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@with_lab
def _bake_off(lab: "Lab", options: argparse.Namespace) -> None:
    memory = None if options.memory_gb is None else int(options.memory_gb * 2**30)
    study = lab.studies.bake_off(
        _plan(options), options.method, memory=memory, title=options.title, **_held_out(options)
    )
    _print_started(study, options)


@with_lab
def _shots(lab: "Lab", options: argparse.Namespace) -> None:
    study = lab.studies.shots_against_tuning(
        _plan(options), options.shots, options.method, title=options.title, **_held_out(options)
    )
    _print_started(study, options)


@with_lab
def _forgetting(lab: "Lab", options: argparse.Namespace) -> None:
    _print_started(lab.studies.forgetting(options.base, options.model, options.suite, title=options.title), options)


@with_lab
def _gate(lab: "Lab", options: argparse.Namespace) -> None:
    _print_started(lab.studies.gate(options.evaluation, options.base, options.model, title=options.title), options)


@with_lab
def _curve(lab: "Lab", options: argparse.Namespace) -> None:
    run = lab.runs.get(options.run)
    _print_started(run.learning_curve(options.share) if options.share else run.learning_curve(), options)


@with_lab
def _annotators(lab: "Lab", options: argparse.Namespace) -> None:
    how = "flip" if options.flip else "leave out"
    _print_started(lab.runs.get(options.run).annotator_influence(options.annotator or (), how), options)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.studies.list()
    if options.json:
        return print_json(views)
    for view in views:
        print(f"{view.id:>5}  {view.kind:<16} {view.title}")
    if not views:
        print("No studies.")
    return None


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.studies.get(options.study), options.json)


@with_lab
def _cancel(lab: "Lab", options: argparse.Namespace) -> None:
    study = lab.studies.get(options.study)
    study.cancel()
    _print(study, options.json)


def _print_started(study: "Study", options: argparse.Namespace) -> None:
    if options.wait:
        study.wait(progress=True)
        return _print(study, options.json)
    if options.json:
        return print_json({"study": study.id, "runs": [run.id for run in study.runs]})
    print(f"{study.title} is queued; `study show {study.id}` shows it.")
    return None


def _print(study: "Study", as_json: bool) -> None:
    if as_json:
        return print_json(study)
    print(study.title)
    for run in study.runs:
        print(f"  run {run.id}: {run.view.state}, {run.view.title}")
    for name, evaluation in study.evaluations.items():
        print(f"  evaluation {evaluation.id}: {evaluation.view.status}, {name}")
    for row in study.results().rows():
        figures = {name: value for name, value in row.items() if isinstance(value, str | int | float)}
        print("  " + ", ".join(f"{name} {value}" for name, value in figures.items()))
    return None
