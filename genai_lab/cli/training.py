"""`train` begins a fine-tuning run from a file; `tuning list|show|cancel|resume|keep|merge|...` looks after runs."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, number, print_json, text_of, wait, with_lab
from genai_lab.cli.jobs import ended

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.api.training import TrainingRun


@COMMANDS.register("train")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    run = groups.add_parser("train", parents=[shared], help="a fine-tuning run from a YAML file, as a job")
    run.add_argument("--config", required=True, type=Path, metavar="FILE", help="the plan, as the page writes it")
    run.add_argument("--name", default="", help="of the model that it makes")
    run.add_argument("--title", default="", help="of the run")
    run.add_argument("--tag", action="append", default=[], help="may be repeated")
    gate = "an evaluation of the base that runs again with the model afterwards; may be repeated"
    run.add_argument("--gate", action="append", default=[], type=integer, metavar="ID", help=gate)
    form = "in which prompts are read, instead of the plan's own: chat, plain or 'by model'"
    run.add_argument("--format", metavar="FORMAT", help=form)
    run.add_argument("--check", action="store_true", help="only estimate time and memory")
    run.add_argument("--wait", action="store_true", help="wait until it has finished, and print the outcome")
    run.set_defaults(command=_train)


@COMMANDS.register("tuning")
def add_tuning(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser(
        "tuning", help="fine-tuning runs: list, show, cancel, resume, keep, export, rollouts, rename, merge"
    )
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", parents=[shared], help="runs, the newest first").set_defaults(command=_list)
    for name, command, text in (
        ("show", _show, "one run with its curves"),
        ("cancel", _cancel, "end a run; its checkpoints stay"),
        ("resume", _resume, "continue from the last good checkpoint"),
        ("keep", _keep, "make the best checkpoint of a cancelled or failed run its model"),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("run", type=number)
        if name in ("resume", "keep"):
            parser.add_argument("--wait", action="store_true", help="wait until it has finished")
        parser.set_defaults(command=command)
    export = commands.add_parser("export", parents=[shared], help="a run's model as one .zip")
    export.add_argument("run", type=number)
    export.add_argument("file", type=Path, metavar="FILE.zip")
    export.set_defaults(command=_export)
    rollouts = commands.add_parser("rollouts", parents=[shared], help="what a policy wrote and earned, as a file")
    rollouts.add_argument("run", type=number)
    rollouts.add_argument("file", type=Path, metavar="FILE.jsonl", help="or .csv, without the figures of each token")
    rollouts.add_argument("--step", type=integer, help="of this step alone")
    rollouts.add_argument("--held-out", action="store_true", help="of held-out prompts, at each evaluation")
    rollouts.set_defaults(command=_rollouts)
    rename = commands.add_parser("rename", parents=[shared], help="a run's title and tags")
    rename.add_argument("run", type=number)
    rename.add_argument("title")
    rename.add_argument("--tag", action="append", default=[], help="may be repeated")
    rename.set_defaults(command=_rename)
    merge = commands.add_parser("merge", parents=[shared], help="an adapter and its base as one model")
    merge.add_argument("adapter")
    merge.add_argument("--name", default="", help="of the merged model")
    merge.add_argument("--wait", action="store_true", help="wait until it has finished")
    merge.set_defaults(command=_merge)


@with_lab
def _train(lab: "Lab", options: argparse.Namespace) -> None:
    from genai_lab.training import TrainingPlan

    plan = TrainingPlan.from_yaml(text_of(options.config, "plan"))
    if options.format:
        plan = dataclasses.replace(plan, format=options.format)
    if options.check:
        return print_json(lab.runs.check(plan))
    run = lab.runs.start(plan, name=options.name, title=options.title, tags=options.tag, gate=options.gate)
    return print_started(lab, run, options)


def print_started(lab: "Lab", run: "TrainingRun", options: argparse.Namespace) -> None:
    """What came of a run where the options say to wait, else its number."""
    if options.wait:
        wait(lab, run.job_id)
        return _print(run, options.json)
    if options.json:
        return print_json({"run": run.id, "job": run.job_id, "model": run.model})
    print(f"Run {run.id} makes {run.model} as job {run.job_id}.")
    return None


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.runs.list()
    if options.json:
        return print_json(views)
    for view in views:
        loss = view.outcome.get("best_loss")
        cell = f"{loss:.4f}" if loss is not None else "-"
        print(f"{view.id:>5}  {view.state:<10} {cell:>8}  {view.method:<22} {view.title}")
    if not views:
        print("No runs.")
    return None


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.runs.get(options.run), options.json)


@with_lab
def _cancel(lab: "Lab", options: argparse.Namespace) -> None:
    run = lab.runs.get(options.run)
    run.cancel()
    if (job := run.job) is not None:
        ended(lab, job)
    _print(run, options.json)


@with_lab
def _resume(lab: "Lab", options: argparse.Namespace) -> None:
    run = lab.runs.get(options.run).resume()
    if options.wait:
        wait(lab, run.job_id)
    _print(run, options.json)


@with_lab
def _keep(lab: "Lab", options: argparse.Namespace) -> None:
    run = lab.runs.get(options.run)
    job = run.keep_best()
    if options.wait:
        wait(lab, job)
    _print(run, options.json)


@with_lab
def _export(lab: "Lab", options: argparse.Namespace) -> None:
    path = lab.runs.get(options.run).export(options.file)
    print_json({"run": options.run, "file": path}) if options.json else print(f"The model is in {path}.")


@with_lab
def _rollouts(lab: "Lab", options: argparse.Namespace) -> None:
    path = lab.runs.get(options.run).export_rollouts(options.file, options.step, options.held_out)
    print_json({"run": options.run, "file": path}) if options.json else print(f"The completions are in {path}.")


@with_lab
def _rename(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.runs.get(options.run).rename(options.title, options.tag), options.json)


@with_lab
def _merge(lab: "Lab", options: argparse.Namespace) -> None:
    merge = lab.runs.start_merge(options.adapter, options.name)
    if options.wait:
        wait(lab, merge.job_id)
    print_json(merge) if options.json else print(f"Job {merge.job_id} makes {merge.model}.")


def _print(run: "TrainingRun", as_json: bool) -> None:
    if as_json:
        return print_json(run)
    view = run.view
    print(f"Run {view.id} ({view.title}): {view.state}{f': {view.error}' if view.error else ''}")
    print(f"  learning rate: {view.rate:g}")
    for name, value in view.outcome.items():
        if not isinstance(value, dict):
            print(f"  {name.replace('_', ' ')}: {value}")
    for score in view.scores:
        name = f"step {score['step']:,}" if score["step"] else "base"
        ends = f"95 % interval {score['low']:.3f} to {score['high']:.3f}, n = {score['n']:,}"
        print(f"  {name}: {score['figure']} {score['value']:.3f}, {ends}")
    for line in (*view.sentences, *view.notes):
        print(f"  {line}")
    return None
