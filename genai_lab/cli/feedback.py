"""`feedback`: campaigns made, opened, paused, closed, followed and exported; links for annotators; reward models."""

import argparse
import dataclasses
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, drawing, integer, number, print_json, real, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("feedback")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("feedback", help="human feedback: campaigns, annotators, agreement, leaderboard, export")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    _add_create(commands.add_parser("create", parents=[shared], help="a campaign from runs or a file, as a draft"))
    draw = commands.add_parser("draw", parents=[shared], help="a campaign of fresh completions of models, as a job")
    _add_plan(draw)
    drawing.add(draw)
    _add_import(
        commands.add_parser(
            "import",
            parents=[shared],
            help="as create, from a file with annotators' votes",
            description="A row of the file is an item: a column with the prompt, two to six columns with completions "
            "(or one with a list of them), and a column for each annotator's vote. --vote COLUMN names such a column: "
            "0 is a tie, 1 or 2 the better completion, or groups as JSON such as [[1],[0,2]]. --system COLUMN names "
            "who wrote the completions: one such option for each completion, or one alone whose cells are a list of "
            "names or names joined by _. Without options the columns are guessed from their names.",
        )
    )
    commands.add_parser("list", parents=[shared], help="campaigns, newest first").set_defaults(command=_list)
    for name, status in (("open", "open"), ("pause", "paused"), ("close", "closed")):
        parser = commands.add_parser(name, parents=[shared], help=f"the campaign is {status} from now on")
        parser.add_argument("campaign")
        parser.set_defaults(command=_move, status=status)
    link = commands.add_parser("link", parents=[shared], help="a personal link for an annotator")
    link.add_argument("campaign")
    link.add_argument("annotator", help="a name; the same name gets the same link")
    ends = link.add_mutually_exclusive_group()
    ends.add_argument("--renew", action="store_true", help="a new link; the old one opens nothing any more")
    ends.add_argument("--revoke", action="store_true", help="no link opens anything, until it is renewed")
    link.add_argument("--base", default="http://127.0.0.1:7860", help="the address that the lab is reached by")
    link.set_defaults(command=_link)
    for name, command, text in (
        ("status", _status, "progress by annotator"),
        ("agreement", _agreement, "kappa, alpha, self-consistency and position bias with intervals"),
        ("leaderboard", _leaderboard, "Bradley-Terry scores with intervals"),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("campaign")
        if name == "leaderboard":
            parser.add_argument("--length-control", action="store_true", help="as if all completions were equally long")
        parser.set_defaults(command=command)
    export = commands.add_parser(
        "export",
        parents=[shared],
        help="preference pairs or rankings as a file or a dataset",
        description="In a .csv a cell that begins with = + - @ or a control character gets an apostrophe before it, so "
        "that no spreadsheet runs it; a .jsonl holds every text as it is.",
    )
    export.add_argument("campaign")
    export.add_argument(
        "--out", type=Path, metavar="FILE", help=".jsonl or .csv beside the dataset version that pairs become"
    )
    export.add_argument("--form", default="explicit", help="explicit, implicit, chat or 'implicit chat' (TRL's)")
    export.add_argument("--votes", default="kept", help="kept: a pair for each vote; majority: aggregated by item")
    export.add_argument("--rankings", action="store_true", help="every answer as it was given, instead of pairs")
    export.add_argument("--name", default="", help="of the dataset")
    export.set_defaults(command=_export)
    reward = commands.add_parser("train-reward", parents=[shared], help="a reward model from a campaign or a dataset")
    source = reward.add_mutually_exclusive_group(required=True)
    source.add_argument("--campaign")
    source.add_argument("--dataset", help="NAME or NAME@VERSION with prompt, chosen and rejected")
    reward.add_argument("--base", default="starter-toxicity", help="the model that it starts from")
    reward.add_argument("--method", choices=("full", "lora"), default="full")
    reward.add_argument("--steps", type=integer, default=0, help="0: six passes over the pairs, 100 to 1,200 steps")
    reward.add_argument("--seed", type=integer, default=0, help="draws held-out pairs, order and the new head")
    reward.add_argument("--votes", default="kept", help="kept or majority")
    reward.add_argument("--name", default="", help="of the reward model")
    reward.add_argument("--wait", action="store_true", help="stay until it has ended, and print its report")
    reward.set_defaults(command=_train_reward)


def _add_plan(parser: Parser) -> None:
    parser.add_argument("--name", default="", help="of the campaign")
    parser.add_argument("--criterion", default="helpful", help="helpful, honest, harmless, or a question of your own")
    parser.add_argument("--guidelines", type=Path, metavar="FILE", help="text that annotators have at hand")
    parser.add_argument("--kind", default="pairwise", choices=("pairwise", "ranking"))
    parser.add_argument("--overlap", type=integer, default=1, help="annotators an item")
    parser.add_argument("--repeats", type=real, default=0.05, help="share of items shown twice, sides swapped")
    parser.add_argument("--no-ties", action="store_true")
    parser.add_argument("--no-both-bad", action="store_true")
    parser.add_argument("--seed", type=integer, default=0, help="draws order and sides")
    parser.add_argument("--open", action="store_true", help="open it at once")


def _add_columns(parser: Parser) -> None:
    parser.add_argument("--prompt", action="append", default=[], metavar="COLUMN", help="may be repeated: joined")
    parser.add_argument("--completion", action="append", default=[], metavar="COLUMN", help="one for each candidate")
    writer = "with the name of who wrote it: one for each completion, or one that holds the names"
    parser.add_argument("--system", action="append", default=[], metavar="COLUMN", help=writer)
    parser.add_argument(
        "--system-separator", default="_", metavar="TEXT", help="where one --system column joins the names"
    )
    parser.add_argument(
        "--vote", action="append", default=[], metavar="COLUMN", help="an annotator's: 0 tie, 1, 2, or groups as JSON"
    )
    parser.add_argument("--gold", default="", metavar="COLUMN", help="the known best: 0 tie, 1 to 6, or groups as JSON")


def _add_create(parser: Parser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from-run", type=number, action="append", metavar="RUN", help="may be repeated")
    source.add_argument("--file", type=Path, metavar="FILE", help="JSON Lines or CSV")
    source.add_argument("--dataset", metavar="NAME", help="NAME or NAME@VERSION")
    _add_plan(parser)
    _add_columns(parser)
    parser.set_defaults(command=_create)


def _add_import(parser: Parser) -> None:
    parser.add_argument("file", type=Path)
    _add_plan(parser)
    _add_columns(parser)
    parser.set_defaults(command=_create, from_run=None, dataset=None)


@with_lab
def _create(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import feedback
    from genai_lab.services.feedback import sources

    plan = drawing.plan_of(options, options.name or _named(options))
    columns = sources.Columns(
        tuple(options.prompt),
        tuple(options.completion),
        tuple(options.system),
        tuple(options.vote),
        options.gold,
        options.system_separator,
    )
    if options.from_run:
        made = sources.from_runs(lab, plan, options.from_run)
    elif options.dataset:
        made = sources.from_dataset(lab, plan, options.dataset, columns)
    else:
        if not options.file.is_file():
            raise LabError(f"There is no file {options.file}.")
        made = sources.from_file(lab, plan, options.file, columns)
    if options.open:
        feedback.move(lab, made.campaign, "open")
    if options.json:
        return print_json(dataclasses.asdict(made))
    print(f"Campaign {made.campaign} ({made.name}): {made.told}")
    return None


def _named(options: argparse.Namespace) -> str:
    if options.from_run:
        return f"runs {', '.join(map(str, options.from_run))}"[:120]
    return str(options.dataset or options.file.name.split(".")[0])[:120]


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import feedback

    found = feedback.find(lab)
    if options.json:
        return print_json([_fields(view) for view in found])
    for view in found:
        print(f"{view.id:>5}  {view.status:<7} {view.got:>7,} of {view.wanted:<7,} {view.name}")
    if not found:
        print("No campaigns.")
    return None


def _fields(view: Any) -> dict[str, Any]:
    return {
        "campaign": view.id,
        "name": view.name,
        "status": view.status,
        "items": view.items,
        "wanted": view.wanted,
        "got": view.got,
        "annotators": view.annotators,
        "run": view.run,
        "problem": view.problem,
        "plan": view.plan.as_dict(),
    }


@with_lab
def _move(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import feedback

    view = feedback.move(lab, options.campaign, options.status)
    print_json(_fields(view)) if options.json else print(f"{view.name} is {view.status}.")


@with_lab
def _link(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import links

    made = links.invite(lab, options.campaign, options.annotator)
    if options.renew or options.revoke:
        made = links.renew(lab, made.annotator, revoke=options.revoke)
    address = None if made.revoked else options.base.rstrip("/") + made.path
    if options.json:
        return print_json({"annotator": made.annotator, "name": made.name, "link": address})
    print(address or f"The link of {made.name} has ended; --renew gives a new one.")
    return None


@with_lab
def _status(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import feedback
    from genai_lab.services.feedback import figures

    view = feedback.show(lab, options.campaign)
    people = figures.progress(lab, view.id)
    if options.json:
        return print_json(_fields(view) | {"progress": [dataclasses.asdict(one) for one in people]})
    items = f"{view.items:,} item{'s' if view.items != 1 else ''}"
    print(f"{view.name}: {view.status}, {view.got:,} of {view.wanted:,} answers on {items}")
    if view.problem:
        print(view.problem)
    for one in people:
        pace = f"{one.seconds_per_item:.1f} s an item" if one.seconds_per_item is not None else ""
        gold = f"{100 * one.gold:.0f} % of gold items right" if one.gold is not None else ""
        counts = f"{one.done:,} done, {one.skipped:,} skipped, {one.flagged:,} flagged"
        print(f"  {one.name}: {', '.join(part for part in (counts, pace, gold) if part)}")
    return None


@with_lab
def _agreement(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import figures

    found = figures.agreement(lab, options.campaign)
    if options.json:
        return print_json(found.as_dict())
    known = {name: one for name, one in found.figures.items() if one.value is not None}
    for name, one in known.items():
        print(f"{name}: {_figure(one)}")
    for why in dict.fromkeys(one.why for name, one in found.figures.items() if name not in known):
        print(why)
    shares = (
        ("self-consistency", found.consistency, "no item was answered twice yet"),
        ("first side preferred", found.position, "no answer was given on a card yet"),
    )
    for name, share, nothing in shares:
        tested = f", p = {share.p:.3g} against one half" if share.p is not None else ""
        print(f"{name}: {nothing if share.value is None else _figure(share) + tested}")
    if found.apart:
        print("Each annotator against the majority of the others:")
    for who, apart in found.apart:
        print(f"  {who}: {_figure(apart)}{'; differs from the rest' if apart.differs else ''}")
    return None


def _figure(one: Any) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f}), n = {one.n:,}"


@with_lab
def _leaderboard(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import figures

    found = figures.leaderboard(lab, options.campaign, length_control=options.length_control)
    if options.json:
        return print_json(found.as_dict())
    for place, row in enumerate(found.rows):
        print(f"{row.rank:>3}  {row.score:6.0f} ({found.interval(place)})  {row.votes:>6,} votes  {row.system}")
    for one in found.needed:
        print(f"{one.better} to {one.worse}: {one.told}")
    for note in found.notes:
        print(note)
    return None


@with_lab
def _export(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import exporting

    if options.out is None:
        view = exporting.to_dataset(lab, options.campaign, votes=options.votes, name=options.name)
        told = {"dataset": view.name, "rows": view.rows, "splits": view.splits}
        return print_json(told) if options.json else print(f"{view.name}: {view.rows:,} pairs.")
    what = "rankings" if options.rankings else "pairs"
    made = exporting.export(
        lab, options.campaign, options.out, form=options.form, votes=options.votes, what=what, name=options.name
    )
    kept = {"dataset": made.dataset} if made.dataset else {}
    if options.json:
        return print_json({"file": str(made.path), what: made.rows, **kept})
    print(f"{made.path}: {made.rows:,} {what}{f', kept as the dataset {made.dataset}' if kept else ''}.")
    return None


@with_lab
def _train_reward(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.cli.reward import trained
    from genai_lab.services.feedback import exporting

    dataset = options.dataset
    if options.campaign is not None:
        dataset = exporting.to_dataset(lab, options.campaign, votes=options.votes).name
        options.name = options.name or _reward_name(lab, options.campaign)
    trained(lab, dataset, options)


def _reward_name(lab: "LabContext", campaign: str) -> str:
    """A free name that tells what the reward model learned from."""
    from genai_lab.services import feedback, models

    stem = re.sub(r"[^\w.-]+", "-", feedback.show(lab, campaign).name).strip("-._")[:80] or "campaign"
    taken = {view.card.name for archived in (False, True) for view in models.catalogue(lab, archived=archived)}
    names = itertools.chain([f"{stem}-reward"], (f"{stem}-reward-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)
