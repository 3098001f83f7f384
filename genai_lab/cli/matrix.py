"""`prompts run|list|show|rerun`: the matrix of models, templates and shots over the rows of a dataset."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from genai_lab.cli import SELECTORS, Parser, Parsers, integer, number, print_json, progress, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.context import LabContext


def add(commands: "Parsers[Parser]", shared: Parser) -> None:
    run = commands.add_parser("run", parents=[shared], help="a matrix over the rows of a dataset, as a job")
    _plan_options(run)
    run.set_defaults(command=_run)
    again = commands.add_parser("rerun", parents=[shared], help="the same matrix again; what is remembered is free")
    again.add_argument("matrix", type=number)
    again.add_argument("--wait", action="store_true", help="stay until it has ended, and print it")
    again.set_defaults(command=_rerun)
    one = commands.add_parser("show", parents=[shared], help="a matrix with the scores of its cells")
    one.add_argument("matrix", type=number)
    one.set_defaults(command=_show)
    commands.add_parser("list", parents=[shared], help="matrices, the newest first").set_defaults(command=_list)


def _plan_options(run: Parser) -> None:
    run.add_argument("--dataset", required=True, help="NAME or NAME@2")
    run.add_argument("--models", required=True, help="names with commas between them")
    run.add_argument("--template", required=True, action="append", help="NAME, NAME@2 or NAME@TAG; may be repeated")
    run.add_argument("--shots", default="0", help="how many solved examples: 0,1,4 (default: 0)")
    run.add_argument("--selector", default="random", help=f"how they are chosen, of: {', '.join(SELECTORS)}")
    run.add_argument("--fixed", default="", metavar="ROWS", help="row numbers from 1, for --selector fixed: 3,8")
    run.add_argument("--rows", type=integer, default=100, help="drawn from the split (default: 100)")
    run.add_argument("--split", default="test", help="whose rows are answered (default: test)")
    run.add_argument("--shot-split", default="train", help="where shots come from (default: train)")
    run.add_argument("--seed", default="0", help="one or several, with commas: 1,2,3 (default: 0)")
    run.add_argument("--temperature", default="", help="one or several; greedy without it")
    run.add_argument("--max-new-tokens", type=integer, default=64)
    run.add_argument("--num-return-sequences", type=integer, default=1, help="completions per row (default: 1)")
    run.add_argument("--metric", action="append", default=[], help="may be repeated (default: exact_match)")
    run.add_argument("--form", default="by model", choices=("by model", "plain", "chat"))
    run.add_argument("--no-cache", action="store_true", help="ask again what is remembered")
    run.add_argument("--title", default="")
    run.add_argument("--estimate", action="store_true", help="only tell what it would cost")
    run.add_argument("--wait", action="store_true", help="stay until it has ended, and print it")


def plan_of(options: argparse.Namespace) -> Any:
    """The Plan that the options describe; raises LabError for what is no number."""
    from genai_lab.decoding import Sampling
    from genai_lab.services.evaluation import Choice
    from genai_lab.services.matrix import Plan
    from genai_lab.services.prompting import keys_of

    length, warmth = options.max_new_tokens, _numbers("temperature", options.temperature, float)
    return Plan(
        dataset=options.dataset,
        models=_words(options.models),
        templates=tuple(name for one in options.template for name in _words(one)),
        shots=_numbers("shots", options.shots, int),
        selectors=_words(options.selector),
        samplings=tuple(Sampling(temperature=one, max_new_tokens=length) for one in warmth)
        or (Sampling(greedy=True, max_new_tokens=length),),
        seeds=_numbers("seed", options.seed, int),
        rows=options.rows,
        sample_seed=_numbers("seed", options.seed, int)[0],
        split=options.split,
        shot_split=options.shot_split,
        fixed=keys_of(options.fixed),
        rendering=options.form,
        use_cache=not options.no_cache,
        num_return_sequences=options.num_return_sequences,
        metrics=tuple(Choice(name) for one in options.metric for name in _words(one)) or (Choice("exact_match"),),
    )


@with_lab
def _run(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import matrix
    from genai_lab.services.matrix.estimating import estimate

    plan = plan_of(options)
    cost = estimate(lab, plan)
    if options.estimate and options.json:
        return print_json(dataclasses.asdict(cost))
    for line in (cost.sentence, *(f"{one}." for one in cost.fewer)):
        print(line) if options.estimate else progress(line)
    if options.estimate:
        return None
    return _told(lab, matrix.start(lab, plan, title=options.title), options)


@with_lab
def _rerun(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import matrix

    _told(lab, matrix.rerun(lab, options.matrix), options)


@with_lab
def _show(lab: "LabContext", options: argparse.Namespace) -> None:
    _printed(lab, options.matrix, options.json)


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import matrix

    found = matrix.find(lab)
    if options.json:
        return print_json([_fields(one) for one in found])
    for one in found:
        print(f"{one.id:>5}  {one.status:<10} {one.dataset:<24} {one.title}")
    if not found:
        print("No matrices yet.")
    return None


def _told(lab: "LabContext", begun: Any, options: argparse.Namespace) -> None:
    if options.wait:
        from genai_lab.cli.jobs import waited

        waited(lab, begun.job_id, None)
        _printed(lab, begun.run_id, options.json)
    elif options.json:
        print_json({"matrix": begun.run_id, "job": begun.job_id, "cells": list(begun.cells)})
    else:
        print(f"Matrix {begun.run_id} is queued as job {begun.job_id}; `jobs wait {begun.job_id}` stays with it.")


def _printed(lab: "LabContext", run_id: int, as_json: bool) -> None:
    from genai_lab.services import matrix

    view = matrix.show(lab, run_id)
    if as_json:
        return print_json(_fields(view) | {"cells": [_cell(one) for one in view.cells]})
    print(f"Matrix {view.id}: {view.title}, {view.status}. {matrix.remembered(view)}".rstrip())
    for cell in view.cells:
        print(f"  {cell.system.id:>5}  {cell.system.label}  ({cell.system.n} of {view.rows} rows)")
        for note in matrix.fewer_shots(cell):
            print(f"           {note}")
        for one in cell.scores:
            print(f"           {one.metric} {one.figure:<16} {_number(one.value)}  {_ends(one)}, n = {one.n}")
        for warning in dict.fromkeys(text for one in cell.scores for text in one.warnings):
            print(f"           Warning: {warning}")
    return None


def _fields(view: Any) -> dict[str, Any]:
    from genai_lab.services import matrix

    return {
        "matrix": view.id,
        "title": view.title,
        "status": view.status,
        "error": view.error,
        "created_at": view.created_at.isoformat(),
        "dataset": view.dataset,
        "rows": view.rows,
        "job": view.job_id,
        "remembered": matrix.remembered(view),
        "plan": view.plan.as_dict(),
    }


def _cell(cell: Any) -> dict[str, Any]:
    scores = [{name: v for name, v in dataclasses.asdict(one).items() if name != "per_example"} for one in cell.scores]
    return {
        "cell": cell.system.id,
        "label": cell.system.label,
        "model": cell.system.model,
        "template": cell.system.template,
        "shots": cell.k,
        "selector": cell.selector,
        "seed": cell.seed,
        "sampling": cell.sampling,
        "status": cell.system.status,
        "rows": cell.system.n,
        "remembered": cell.cached,
        "seconds": cell.seconds,
        "rows_by_shots": cell.fitted,
        "scores": scores,
    }


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(name: str, text: str, kind: Any) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in _words(text))
    except ValueError:
        raise LabError(f"--{name} is {text!r}; write numbers with commas between them.") from None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _ends(score: Any) -> str:
    return f"95 % interval {_number(score.low)} to {_number(score.high)}"
