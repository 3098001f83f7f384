"""`train` begins a fine-tuning run from a file; `tuning list|show|resume|keep|merge` looks after those there are."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, integer, number, print_json, text_of, with_lab
from genai_lab.cli.jobs import ending, waited

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("train")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    run = parts.add_parser("train", parents=[shared], help="a fine-tuning run from a YAML file, as a job")
    run.add_argument("--config", required=True, type=Path, metavar="FILE", help="the plan, as the page writes it")
    run.add_argument("--name", default="", help="of the model that it makes")
    run.add_argument("--title", default="", help="of the run")
    run.add_argument("--tag", action="append", default=[], help="may be repeated")
    gate = "an evaluation of the base that runs again with the model afterwards; may be repeated"
    run.add_argument("--gate", action="append", default=[], type=integer, metavar="ID", help=gate)
    form = "in which prompts are read, instead of the plan's own: chat, plain or 'by model'"
    run.add_argument("--format", metavar="FORMAT", help=form)
    run.add_argument("--check", action="store_true", help="only tell what it would take")
    run.add_argument("--wait", action="store_true", help="stay until it has ended, and print what came of it")
    run.set_defaults(command=_train)


@COMMANDS.register("tuning")
def add_tuning(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("tuning", help="fine-tuning runs: list, show, cancel, resume, keep, merge")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", parents=[shared], help="runs, the newest first").set_defaults(command=_list)
    for name, command, text in (
        ("show", _show, "one run with its curves"),
        ("cancel", _cancel, "end a run; its checkpoints stay"),
        ("resume", _resume, "go on from the last good checkpoint"),
        ("keep", _keep, "make the best checkpoint of a cancelled or failed run its model"),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("run", type=number)
        if name in ("resume", "keep"):
            parser.add_argument("--wait", action="store_true", help="stay until it has ended")
        parser.set_defaults(command=command)
    merge = commands.add_parser("merge", parents=[shared], help="an adapter and its base as one model")
    merge.add_argument("adapter")
    merge.add_argument("--name", default="", help="of the merged model")
    merge.add_argument("--wait", action="store_true", help="stay until it has ended")
    merge.set_defaults(command=_merge)


@with_lab
def _train(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import training
    from genai_lab.services.training import preparation, studies
    from genai_lab.training import Plan

    plan = Plan.from_yaml(text_of(options.config, "plan"))
    if options.format:
        plan = dataclasses.replace(plan, format=options.format)
    if options.check:
        ready = training.checked(lab, plan)
        more = {"learning_rate": ready.found.rate(plan), "format": preparation.format_words(plan, ready.found)}
        return print_json(ready.predicted | more)
    words = {"name": options.name, "title": options.title, "tags": options.tag}
    begun = studies.start_gated(lab, plan, options.gate, **words)
    if options.wait:
        waited(lab, begun.job_id, None)
        return _printed(lab, begun.run_id, options.json)
    if options.json:
        return print_json(dataclasses.asdict(begun))
    print(f"Run {begun.run_id} makes {begun.model} as job {begun.job_id}.")
    return None


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import training

    found = training.find(lab)
    if options.json:
        return print_json([_fields(view) for view in found])
    for view in found:
        loss = view.outcome.get("best_loss")
        shown = f"{loss:.4f}" if loss is not None else "-"
        print(f"{view.id:>5}  {view.state:<10} {shown:>8}  {view.method:<22} {view.title}")
    if not found:
        print("No runs.")
    return None


@with_lab
def _show(lab: "LabContext", options: argparse.Namespace) -> None:
    _printed(lab, options.run, options.json)


@with_lab
def _cancel(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import training

    training.cancel(lab, options.run)
    job = training.show(lab, options.run).job
    if job is not None:
        ending(lab, job)
    _printed(lab, options.run, options.json)


@with_lab
def _resume(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import training

    training.resume(lab, options.run)
    if options.wait:
        view = training.show(lab, options.run)
        waited(lab, view.job.id if view.job else 0, None)
    _printed(lab, options.run, options.json)


@with_lab
def _keep(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import training

    job = training.keep(lab, options.run)
    if options.wait:
        waited(lab, job, None)
    _printed(lab, options.run, options.json)


@with_lab
def _merge(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import training

    begun = training.merge(lab, options.adapter, options.name)
    if options.wait:
        waited(lab, begun.job_id, None)
    print_json(dataclasses.asdict(begun)) if options.json else print(f"Job {begun.job_id} makes {begun.model}.")


def _printed(lab: "LabContext", run_id: int, as_json: bool) -> None:
    from genai_lab.services import training

    view = training.show(lab, run_id)
    if as_json:
        return print_json(_fields(view) | {"curves": training.curves(lab, view)})
    print(f"Run {view.id} ({view.title}): {view.state}{f': {view.error}' if view.error else ''}")
    print(f"  learning rate: {view.rate:g}")
    for name, value in view.outcome.items():
        if not isinstance(value, dict):
            print(f"  {name.replace('_', ' ')}: {value}")
    for one in view.scores:
        name = f"step {one['step']:,}" if one["step"] else "base"
        ends = f"95 % interval {one['low']:.3f} to {one['high']:.3f}, n = {one['n']:,}"
        print(f"  {name}: {one['figure']} {one['value']:.3f}, {ends}")
    for sentence in view.sentences:
        print(f"  {sentence}")
    for note in view.notes:
        print(f"  {note}")
    return None


def _fields(view: Any) -> dict[str, Any]:
    return {
        "run": view.id,
        "title": view.title,
        "tags": list(view.tags),
        "status": view.status,
        "error": view.error,
        "model": view.model,
        "job": view.job.id if view.job else None,
        "seed": view.seed,
        "learning_rate": view.rate,
        "plan": view.plan.as_dict(),
        "outcome": view.outcome,
        "predicted": view.predicted,
        "notes": list(view.notes),
        "scores": list(view.scores),
        "verdict": list(view.sentences),
        "inputs": [{"role": role, "name": name, "hash": hash} for role, name, hash in view.inputs],
    }
