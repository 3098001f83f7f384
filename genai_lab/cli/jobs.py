"""`jobs list|show|cancel|retry|logs|wait`: long work watched and ended without a page."""

import argparse
import dataclasses
import time
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, STATUSES, Parser, Parsers, number, print_json, progress, real, with_lab

if TYPE_CHECKING:
    from genai_lab.context import LabContext
    from genai_lab.services.jobs import JobView

TELL_EVERY = 1.0
END_WITHIN = 15.0


@COMMANDS.register("jobs")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("jobs", help="long work: list, show, cancel, retry, logs, wait")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", parents=[shared], help="the newest jobs")
    listing.add_argument("--status", choices=STATUSES)
    listing.add_argument("--kind", action="append", default=[], help="only this kind; may be repeated")
    listing.add_argument("--search", default="", help="words in the title")
    listing.add_argument("--limit", type=number, default=30)
    listing.set_defaults(command=_list)
    for name, command, text in (
        ("show", _show, "one job with all that is known of it"),
        ("cancel", _cancel, "end a job and all its processes"),
        ("retry", _retry, "queue a failed or cancelled job again"),
        ("logs", _logs, "the end of what its worker wrote"),
        ("wait", _wait, "stay until the job has ended; supervises it where no app is open"),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("job", type=number)
        if name == "logs":
            parser.add_argument("--lines", type=number, default=200)
        if name == "wait":
            parser.add_argument("--timeout", type=real, metavar="SECONDS")
        parser.set_defaults(command=command)


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import jobs

    wanted = {"status": options.status, "kinds": options.kind, "search": options.search}
    found, total = jobs.find(lab, **wanted, limit=max(1, options.limit))
    if options.json:
        print_json({"total": total, "jobs": [as_dict(view) for view in found]})
        return
    for view in found:
        more = f" ({view.waiting})" if view.waiting else f" ({view.attempts})" if view.attempts else ""
        print(f"{view.id:>5}  {view.state:<13}{_share(view):>6}  {view.kind:<10} {view.title}{more}")
    if not found:
        print("No jobs.")


@with_lab
def _show(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import jobs

    view = jobs.show(lab, options.job)
    if options.json:
        print_json(as_dict(view) | {"metrics": jobs.metrics(lab, options.job)})
        return
    for name, value in as_dict(view).items():
        if value not in (None, "", {}):
            print(f"{name.replace('_', ' ')}: {value}")


@with_lab
def _cancel(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import jobs

    _told(ending(lab, jobs.cancel(lab, options.job)), options.json)


@with_lab
def _retry(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import jobs

    _told(jobs.retry(lab, options.job), options.json)


@with_lab
def _logs(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import jobs

    text = jobs.log(lab, options.job, max(1, options.lines))
    if options.json:
        return print_json({"job": options.job, "log": text})
    print(text) if text.strip() else progress(f"The worker of job {options.job} has written nothing.")
    return None


@with_lab
def _wait(lab: "LabContext", options: argparse.Namespace) -> int:
    view = watched(lab, options.job, options.timeout)
    _told(view, options.json)
    return 0 if view.status == "finished" else 1


def waited(lab: "LabContext", job_id: int, as_json: bool | None, timeout: float | None = None) -> Any:
    """Stays until the job has finished and prints it unless `as_json` is None; raises LabError where it did not."""
    from genai_lab.errors import LabError

    view = watched(lab, job_id, timeout)
    if view.status != "finished":
        raise LabError(f"Job {job_id} ended ({view.exit_reason or view.status}): {view.error or 'no reason is known'}")
    if as_json is not None:
        _told(view, as_json)
    return view


def watched(lab: "LabContext", job_id: int, timeout: float | None = None) -> Any:
    """Stays until the job has ended, and tells on standard error how far it is."""
    from genai_lab.services import jobs

    last, told = "", 0.0

    def tell(view: "JobView") -> None:
        nonlocal last, told
        line = f"job {job_id}: {_share(view) or view.status} {view.message or view.waiting}".rstrip()
        if line != last and time.monotonic() - told >= TELL_EVERY:
            last, told = line, time.monotonic()
            progress(line)

    return jobs.wait(lab, job_id, timeout, on_poll=tell)


def ending(lab: "LabContext", view: Any) -> Any:
    """A job whose end has been asked for: as it ended, or after END_WITHIN seconds as one that is cancelling."""
    from genai_lab.errors import LabError
    from genai_lab.services import jobs

    try:
        return jobs.wait(lab, view.id, timeout=END_WITHIN) if view.live else view
    except LabError:
        return jobs.show(lab, view.id)


def as_dict(view: Any) -> dict[str, Any]:
    made = dataclasses.asdict(view)
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in made.items()}


def _told(view: Any, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(view))
    else:
        status = view.status if not view.live else view.state
        waiting = f"; it {view.waiting}" if view.waiting else ""
        print(f"Job {view.id} ({view.title}) is {status}{f': {view.error}' if view.error else f'{waiting}.'}")


def _share(view: Any) -> str:
    return "" if view.share is None else f"{100 * view.share:.0f} %"
