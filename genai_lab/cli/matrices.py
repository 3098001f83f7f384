"""`prompts run|list|show|rerun`: the matrix of models, templates and shots over the rows of a dataset."""

import argparse
from typing import TYPE_CHECKING

from genai_lab.cli import metric_options
from genai_lab.cli.base import (
    SELECTORS,
    Parser,
    Parsers,
    integer,
    number,
    print_json,
    progress,
    real,
    several,
    wait,
    with_lab,
)
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.api.matrices import Matrix
    from genai_lab.services.matrix import MatrixPlan
    from genai_lab.services.predictions import ScoreView

THUMBS = {"up": 1, "down": -1, "none": 0}
# As `services.matrix.reading` has them, whose import takes longer than parsing may.
FILTERS = ("all", "failures", "different", "worst", "longest", "rated")


def add(commands: "Parsers[Parser]", shared: Parser) -> None:
    run = commands.add_parser("run", parents=[shared], help="a matrix over the rows of a dataset, as a job")
    _plan_options(run)
    run.set_defaults(command=_run)
    rerun = commands.add_parser(
        "rerun", parents=[shared], help="the same matrix again; cached predictions cost nothing"
    )
    rerun.add_argument("matrix", type=number)
    rerun.add_argument("--wait", action="store_true", help="wait until it has finished, and print it")
    rerun.set_defaults(command=_rerun)
    show = commands.add_parser("show", parents=[shared], help="a matrix with the scores of its cells")
    show.add_argument("matrix", type=number)
    show.set_defaults(command=_show)
    commands.add_parser("list", parents=[shared], help="matrices, the newest first").set_defaults(command=_list)
    _cell_commands(commands, shared)


def _cell_commands(commands: "Parsers[Parser]", shared: Parser) -> None:
    cell_help = "the run of a cell, as `prompts show` prints it (default: the first)"
    predictions = commands.add_parser("predictions", parents=[shared], help="what a cell answered, row by row")
    predictions.add_argument("matrix", type=number)
    predictions.add_argument("--cell", type=number, help=cell_help)
    predictions.add_argument("--only", choices=FILTERS, default="all")
    predictions.set_defaults(command=_predictions)
    rate = commands.add_parser("rate", parents=[shared], help="a thumb or a comment on a completion")
    rate.add_argument("matrix", type=number)
    rate.add_argument("prediction", type=number, help="as `prompts predictions` numbers it")
    rate.add_argument("--thumb", choices=tuple(THUMBS))
    rate.add_argument("--comment", help="an empty one removes it")
    rate.set_defaults(command=_rate)
    thumbs = commands.add_parser(
        "thumbs", parents=[shared], help="completions with a thumb as a dataset of labels, which KTO learns from"
    )
    thumbs.add_argument("matrix", type=number)
    thumbs.add_argument("--name", default="", help="of the dataset (default: after the matrix)")
    thumbs.set_defaults(command=_thumbs)
    best = commands.add_parser(
        "best", parents=[shared], help="the best of several completions per row as an instruction dataset"
    )
    best.add_argument("matrix", type=number)
    parts = "a part of the score, such as reward_model:NAME or '-0.05 * length'; may be repeated"
    best.add_argument("--reward", action="append", required=True, metavar="REWARD", help=parts)
    best.add_argument("--cell", type=number, help="(default: the first)")
    best.add_argument("--name", default="", help="of the dataset (default: after the cell)")
    best.set_defaults(command=_best)
    promote = commands.add_parser(
        "promote", parents=[shared], help="make a cell's template the default, and its settings a preset"
    )
    promote.add_argument("matrix", type=number)
    promote.add_argument("--cell", type=number, help=cell_help)
    promote.set_defaults(command=_promote)


def _plan_options(run: Parser) -> None:
    run.add_argument("--dataset", required=True, help="NAME or NAME@2")
    several(run, "--model", "a model", required=True)
    several(run, "--template", "NAME, NAME@2 or NAME@TAG", required=True)
    several(run, "--shots", "how many solved examples (default: 0)", kind=integer, aliases=())
    several(run, "--selector", f"how they are chosen, of: {', '.join(SELECTORS)} (default: random)")
    run.add_argument("--fixed", default="", metavar="ROWS", help="row numbers from 1, for --selector fixed: 3,8")
    run.add_argument("--rows", type=integer, default=100, help="drawn from the split (default: 100)")
    run.add_argument("--split", default="test", help="whose rows are answered (default: test)")
    run.add_argument("--shot-split", default="train", help="where shots come from (default: train)")
    several(run, "--seed", "of shots and tokens (default: 0)", kind=integer)
    several(run, "--temperature", "0 is greedy, as is no temperature", kind=real)
    several(run, "--preset", "sampling settings under this name")
    run.add_argument("--max-new-tokens", type=integer, default=64)
    run.add_argument("--num-return-sequences", "--n", type=integer, default=1, help="completions per row")
    embedding_options(run)
    several(run, "--metric", "a metric (default: exact_match)")
    metric_options.add_settings(run)
    run.add_argument("--form", default="by model", choices=("by model", "plain", "chat"))
    run.add_argument("--no-cache", action="store_true", help="ignore cached predictions")
    run.add_argument("--title", default="")
    run.add_argument("--estimate", action="store_true", help="only estimate the cost")
    run.add_argument("--wait", action="store_true", help="wait until it has finished, and print it")


def embedding_options(parser: Parser) -> None:
    """What shots chosen by meaning need."""
    parser.add_argument("--embedder", default="", help="for --selector embedding (default: the first embedder)")
    parser.add_argument("--diversity", type=real, default=0.0, help="of such shots, from 0 (default) to 1")


def plan_of(lab: "Lab", options: argparse.Namespace) -> "MatrixPlan":
    """The plan that the options describe."""
    from genai_lab.api.matrices import matrix_plan

    return matrix_plan(
        lab.context,
        options.model,
        options.dataset,
        template=options.template,
        metrics=metric_options.metric_specs(options.metric or ["exact_match"], options.set),
        shots=options.shots or [0],
        selectors=options.selector or ["random"],
        fixed=options.fixed,
        embedder=options.embedder,
        diversity=options.diversity,
        temperatures=options.temperature or [],
        presets=options.preset or [],
        seeds=options.seed or [0],
        rows=options.rows,
        split=options.split,
        shot_split=options.shot_split,
        format=options.form,
        use_cache=not options.no_cache,
        max_new_tokens=options.max_new_tokens,
        num_return_sequences=options.num_return_sequences,
    )


@with_lab
def _run(lab: "Lab", options: argparse.Namespace) -> None:
    plan = plan_of(lab, options)
    estimate = lab.matrices.estimate(plan)
    if options.estimate and options.json:
        return print_json(estimate)
    for line in (estimate.sentence, *(f"{sentence}." for sentence in estimate.fewer)):
        print(line) if options.estimate else progress(line)
    if options.estimate:
        return None
    return _print_started(lab, lab.matrices.start(plan, title=options.title), options)


@with_lab
def _rerun(lab: "Lab", options: argparse.Namespace) -> None:
    _print_started(lab, lab.matrices.get(options.matrix).rerun(), options)


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.matrices.get(options.matrix), options.json)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.matrices.list()
    if options.json:
        return print_json(views)
    for view in views:
        print(f"{view.id:>5}  {view.status:<10} {view.dataset:<24} {view.title}")
    if not views:
        print("No matrices yet.")
    return None


@with_lab
def _predictions(lab: "Lab", options: argparse.Namespace) -> None:
    rows = lab.matrices.get(options.matrix).predictions(options.cell, options.only)
    print_json(rows) if options.json else print(repr(rows))


@with_lab
def _rate(lab: "Lab", options: argparse.Namespace) -> None:
    if options.thumb is None and options.comment is None:
        raise LabError("Nothing is to be kept; give --thumb or --comment.")
    thumb = None if options.thumb is None else THUMBS[options.thumb]
    lab.matrices.get(options.matrix).rate(options.prediction, thumb, options.comment)
    fields = {"prediction": options.prediction, "thumb": thumb, "comment": options.comment}
    print_json(fields) if options.json else print(f"Kept on prediction {options.prediction}.")


@with_lab
def _thumbs(lab: "Lab", options: argparse.Namespace) -> None:
    dataset = lab.matrices.get(options.matrix).thumbs_to_dataset(options.name)
    if options.json:
        return print_json(dataset)
    return print(f"Thumbs saved as {dataset.name}: {len(dataset):,}. A plan with the objective kto learns from them.")


@with_lab
def _best(lab: "Lab", options: argparse.Namespace) -> None:
    best = lab.matrices.get(options.matrix).best_to_dataset(options.reward, options.cell, options.name)
    print_json(best) if options.json else print(f"Saved as {best.dataset}. {best.sentence}")


@with_lab
def _promote(lab: "Lab", options: argparse.Namespace) -> None:
    default = lab.matrices.get(options.matrix).promote(options.cell)
    if options.json:
        return print_json(default)
    return print(f"{default.template} is the default prompt now; its sampling is the preset {default.preset!r}.")


def _print_started(lab: "Lab", matrix: "Matrix", options: argparse.Namespace) -> None:
    if options.wait:
        wait(lab, matrix.job_id)
        _print(matrix, options.json)
    elif options.json:
        print_json({"matrix": matrix.id, "job": matrix.job_id, "cells": matrix.cells})
    else:
        print(f"Matrix {matrix.id} is queued as job {matrix.job_id}; `jobs wait {matrix.job_id}` stays with it.")


def _print(matrix: "Matrix", as_json: bool) -> None:
    from genai_lab.services.matrix import fewer_shots

    if as_json:
        return print_json(matrix)
    view = matrix.view
    print(matrix.title)
    for cell in view.cells:
        print(f"  {cell.system.id:>5}  {cell.system.label}  ({cell.system.n} of {view.rows} rows)")
        for note in fewer_shots(cell):
            print(f"           {note}")
        for score in cell.scores:
            print(f"           {score.metric} {score.figure:<16} {decimal(score.value)}  {interval(score)}")
        for warning in dict.fromkeys(text for score in cell.scores for text in score.warnings):
            print(f"           Warning: {warning}")
    return None


def decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def interval(score: "ScoreView") -> str:
    return f"95 % interval {decimal(score.low)} to {decimal(score.high)}, n = {score.n}"
