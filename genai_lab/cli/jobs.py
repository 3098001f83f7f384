"""`jobs list|show|cancel|retry|logs|wait` and `history list|export|delete|restore|replay|python`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, STATUSES, Parser, Parsers, number, print_json, progress, real, with_lab

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.services.jobs import JobView

END_SECONDS = 15.0


@COMMANDS.register("jobs")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("jobs", help="long work: list, show, cancel, retry, logs, wait")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", parents=[shared], help="the newest jobs")
    listing.add_argument("--status", choices=STATUSES)
    listing.add_argument("--kind", action="append", default=[], help="only this kind; may be repeated")
    listing.add_argument("--search", default="", help="words in the title")
    listing.add_argument("--limit", type=number, default=30)
    listing.set_defaults(command=_list)
    for name, command, text in (
        ("show", _show, "one job with everything about it"),
        ("cancel", _cancel, "end a job and all its processes"),
        ("retry", _retry, "queue a failed or cancelled job again"),
        ("logs", _logs, "the end of what its worker wrote"),
        ("wait", _wait, "wait until the job has finished; runs it where no app is open"),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("job", type=number)
        if name == "logs":
            parser.add_argument("--lines", type=number, default=200)
        if name == "wait":
            parser.add_argument("--timeout", type=real, metavar="SECONDS")
        parser.set_defaults(command=command)


@COMMANDS.register("history")
def add_history(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("history", help="runs: list, export, delete, restore, replay, python")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", parents=[shared], help="runs, the newest first")
    listing.add_argument("--search", default="", help="words in prompt, completion or title")
    listing.add_argument("--kind", default="", help="generate, matrix, evaluate, train, study, campaign, import...")
    listing.add_argument("--limit", type=number, default=30)
    listing.set_defaults(command=_runs)
    export = commands.add_parser("export", parents=[shared], help="generations as .jsonl (lossless) or .csv")
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--run", type=number, action="append", default=[], help="may be repeated (default: all)")
    export.set_defaults(command=_export)
    for name, text in (("delete", "hide runs"), ("restore", "bring hidden runs back")):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("run", type=number, nargs="+")
        parser.set_defaults(command=_delete, hidden=name == "delete")
    replay = commands.add_parser("replay", parents=[shared], help="a run again, with its settings and seed")
    replay.add_argument("run", type=number)
    replay.set_defaults(command=_replay)
    python = commands.add_parser("python", parents=[shared], help="a script that makes a generation again")
    python.add_argument("run", type=number)
    python.add_argument("--library", choices=("transformers", "genai_lab"), default="transformers")
    python.set_defaults(command=_python)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.jobs.list(status=options.status, kinds=options.kind, search=options.search, limit=max(1, options.limit))
    if options.json:
        return print_json({"total": views.total, "jobs": views})
    for view in views:
        note = f" ({view.waiting})" if view.waiting else f" ({view.attempts})" if view.attempts else ""
        print(f"{view.id:>5}  {view.state:<13}{_share(view):>6}  {view.kind:<10} {view.title}{note}")
    if not views:
        print("No jobs.")
    return None


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    from genai_lab.services import jobs

    view = lab.jobs.get(options.job)
    if options.json:
        return print_json(view.as_dict() | {"metrics": jobs.metrics(lab.context, options.job)})
    for name, value in view.as_dict().items():
        if value not in (None, "", {}):
            print(f"{name.replace('_', ' ')}: {value}")
    return None


@with_lab
def _cancel(lab: "Lab", options: argparse.Namespace) -> None:
    _print(ended(lab, lab.jobs.cancel(options.job)), options.json)


@with_lab
def _retry(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.jobs.retry(options.job), options.json)


@with_lab
def _logs(lab: "Lab", options: argparse.Namespace) -> None:
    text = lab.jobs.logs(options.job, max(1, options.lines))
    if options.json:
        return print_json({"job": options.job, "log": text})
    print(text) if text.strip() else progress(f"The worker of job {options.job} has written nothing.")
    return None


@with_lab
def _wait(lab: "Lab", options: argparse.Namespace) -> int:
    view = lab.jobs.watch(options.job, options.timeout, progress=True)
    _print(view, options.json)
    return 0 if view.status == "finished" else 1


def ended(lab: "Lab", view: "JobView") -> "JobView":
    """A job whose end has been asked for: as it ended, or after END_SECONDS as one that is cancelling."""
    from genai_lab.errors import LabError

    try:
        return lab.jobs.watch(view.id, END_SECONDS) if view.live else view
    except LabError:
        return lab.jobs.get(view.id)


@with_lab
def _runs(lab: "Lab", options: argparse.Namespace) -> None:
    rows = lab.history.list(options.search, kind=options.kind, limit=max(1, options.limit))
    if options.json:
        return print_json({"total": rows.total, "runs": rows})
    for row in rows:
        print(f"{row.id:>5}  {row.status:<10} {row.kind:<10} {row.model:<20} {row.prompt_start}")
    if not rows:
        print("No runs.")
    return None


@with_lab
def _export(lab: "Lab", options: argparse.Namespace) -> None:
    runs = options.run or [row.id for row in lab.history.list(kind="generate", limit=1_000_000)]
    path = lab.history.export(options.file, runs)
    print_json({"file": path, "runs": runs}) if options.json else print(f"{path}: {len(runs):,} runs.")


@with_lab
def _delete(lab: "Lab", options: argparse.Namespace) -> None:
    count = (lab.history.delete if options.hidden else lab.history.restore)(options.run)
    state = "hidden" if options.hidden else "restored"
    print_json({state: count}) if options.json else print(f"{count:,} runs {state}.")


@with_lab
def _replay(lab: "Lab", options: argparse.Namespace) -> None:
    run_id = lab.history.replay(options.run)
    row = lab.history.get(run_id)
    if row.kind == "generate":
        generation = lab.run(run_id)
        return print_json(generation) if options.json else print(generation.text)
    return print_json(row) if options.json else print(f"Run {run_id} ({row.title}) is {row.status}.")


@with_lab
def _python(lab: "Lab", options: argparse.Namespace) -> None:
    text = lab.history.as_python(options.run, options.library)
    print_json({"run": options.run, "python": text}) if options.json else print(text)


def _print(view: "JobView", as_json: bool) -> None:
    if as_json:
        return print_json(view)
    status = view.status if not view.live else view.state
    waiting = f"; it {view.waiting}" if view.waiting else ""
    print(f"Job {view.id} ({view.title}) is {status}{f': {view.error}' if view.error else f'{waiting}.'}")
    return None


def _share(view: "JobView") -> str:
    return "" if view.share is None else f"{100 * view.share:.0f} %"
