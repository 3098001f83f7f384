"""`feedback`: campaigns made, opened, paused, closed, followed and exported; links for annotators; reward models."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import campaigns, fresh
from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, number, print_json, real, with_lab
from genai_lab.cli.reward import train_options
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab


@COMMANDS.register("feedback")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("feedback", help="human feedback: campaigns, annotators, agreement, leaderboard, export")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    _add_create(commands.add_parser("create", parents=[shared], help="a campaign from runs or a file, as a draft"))
    draw = commands.add_parser("draw", parents=[shared], help="a campaign of fresh completions of models, as a job")
    _add_plan(draw)
    fresh.add(draw)
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
    _add_campaign_commands(commands, shared)
    _add_link(commands.add_parser("link", parents=[shared], help="a personal link for an annotator"))
    _add_export(
        commands.add_parser(
            "export",
            parents=[shared],
            help="preference pairs, labels or rankings as a file or a dataset",
            description="In a .csv a cell that begins with = + - @ or a control character gets an apostrophe before "
            "it, so that no spreadsheet runs it; a .jsonl holds every text as it is.",
        )
    )
    _add_training(commands, shared)


def _add_campaign_commands(commands: "Parsers[Parser]", shared: Parser) -> None:
    commands.add_parser("list", parents=[shared], help="campaigns, newest first").set_defaults(command=_list)
    for name, status in (("open", "open"), ("pause", "paused"), ("close", "closed")):
        parser = commands.add_parser(name, parents=[shared], help=f"set the campaign to {status}")
        parser.add_argument("campaign")
        parser.set_defaults(command=_move, status=status)
    campaigns.add(commands, shared)
    for name, command, text in (
        ("status", _status, "progress by annotator"),
        ("agreement", _agreement, "kappa, alpha, self-consistency and position bias with intervals"),
        ("leaderboard", _leaderboard, "Bradley-Terry scores with intervals"),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("campaign")
        if name == "leaderboard":
            parser.add_argument(
                "--length-control", action="store_true", help="scores as if all completions were equally long"
            )
        parser.set_defaults(command=command)
    systems = commands.add_parser("name-systems", parents=[shared], help="names for the systems of an imported file")
    systems.add_argument("campaign")
    systems.add_argument("--name", action="append", required=True, metavar="COLUMN=SYSTEM", help="may be repeated")
    systems.set_defaults(command=_name_systems)


def _add_link(link: Parser) -> None:
    link.add_argument("campaign")
    link.add_argument("annotator", help="a name; the same name gets the same link")
    ends = link.add_mutually_exclusive_group()
    ends.add_argument("--renew", action="store_true", help="a new link; the old one stops working")
    ends.add_argument("--revoke", action="store_true", help="end the link, until it is renewed")
    link.add_argument("--base", default="http://127.0.0.1:7860", help="the address that the lab is reached by")
    link.set_defaults(command=_link)


def _add_export(export: Parser) -> None:
    export.add_argument("campaign")
    export.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=".jsonl or .csv beside the dataset version that they become",
    )
    export.add_argument("--form", default="explicit", help="explicit, implicit, chat or 'implicit chat' (TRL's)")
    export.add_argument("--votes", default="kept", help="kept: each vote by itself; majority: aggregated by item")
    what = export.add_mutually_exclusive_group()
    what.add_argument("--rankings", action="store_true", help="every answer as it was given, instead of pairs")
    what.add_argument("--labels", action="store_true", help="good or bad of each completion by itself, as KTO reads it")
    export.add_argument("--name", default="", help="of the dataset")
    export.set_defaults(command=_export)


def _add_training(commands: "Parsers[Parser]", shared: Parser) -> None:
    train_options(commands.add_parser("train-reward", parents=[shared], help="as `reward train`"))
    train_options(
        commands.add_parser("tune-policy", parents=[shared], help="a policy tuned on its votes by DPO or KTO"), "dpo"
    )
    compare = commands.add_parser(
        "blind-compare", parents=[shared], help="a campaign of a tuned policy against its base, on held-out prompts"
    )
    compare.add_argument("run", type=number, help="the run that tuned the policy")
    compare.add_argument("--rows", type=integer, default=50)
    compare.add_argument("--overlap", type=integer, default=2, help="annotators per item")
    compare.add_argument("--seed", type=integer, default=0)
    compare.add_argument("--wait", action="store_true", help="wait until the items are made")
    compare.set_defaults(command=_blind_compare)


def _add_plan(parser: Parser) -> None:
    parser.add_argument("--name", default="", help="of the campaign")
    parser.add_argument("--criterion", default="helpful", help="helpful, honest, harmless, or a question of your own")
    parser.add_argument("--guidelines", type=Path, metavar="FILE", help="text that annotators can read at any time")
    parser.add_argument("--kind", default="pairwise", choices=("pairwise", "ranking"))
    parser.add_argument("--overlap", type=integer, default=1, help="annotators per item")
    parser.add_argument("--repeats", type=real, default=0.05, help="share of items shown again with sides swapped")
    parser.add_argument("--no-ties", action="store_true")
    parser.add_argument("--no-both-bad", action="store_true")
    parser.add_argument("--seed", type=integer, default=0, help="draws the order of items and sides")
    parser.add_argument("--open", action="store_true", help="open it at once")


def _add_columns(parser: Parser) -> None:
    parser.add_argument("--prompt", action="append", default=[], metavar="COLUMN", help="may be repeated: joined")
    parser.add_argument("--completion", action="append", default=[], metavar="COLUMN", help="one per candidate")
    writer = "with the name of who wrote it: one for each completion, or one that holds the names"
    parser.add_argument("--system", action="append", default=[], metavar="COLUMN", help=writer)
    parser.add_argument(
        "--system-separator", default="_", metavar="TEXT", help="where one --system column joins the names"
    )
    parser.add_argument(
        "--vote",
        action="append",
        default=[],
        metavar="COLUMN",
        help="one per annotator: 0 tie, 1, 2, or groups as JSON",
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
def _create(lab: "Lab", options: argparse.Namespace) -> None:
    plan = fresh.plan_of(options, options.name or _default_name(options))
    columns = {
        "prompt": options.prompt,
        "completions": options.completion,
        "systems": options.system,
        "votes": options.vote,
        "gold": options.gold,
        "separator": options.system_separator,
    }
    runs = options.from_run or ()
    made = lab.campaigns.collect(plan, runs, "" if runs or options.dataset else options.file, options.dataset, columns)
    campaign = lab.campaigns.get(made.campaign)
    if options.open:
        campaign.open()
    if options.json:
        return print_json(made)
    print(f"Campaign {made.campaign} ({made.name}): {made.told}")
    return None


def _default_name(options: argparse.Namespace) -> str:
    if options.from_run:
        return f"runs {', '.join(map(str, options.from_run))}"[:120]
    return str(options.dataset or options.file.name.split(".")[0])[:120]


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.campaigns.list()
    if options.json:
        return print_json(views)
    for view in views:
        print(f"{view.id:>5}  {view.status:<7} {view.got:>7,} of {view.wanted:<7,} {view.name}")
    if not views:
        print("No campaigns.")
    return None


@with_lab
def _move(lab: "Lab", options: argparse.Namespace) -> None:
    campaign = lab.campaigns.get(options.campaign).move(options.status)
    print_json(campaign) if options.json else print(f"{campaign.name} is {campaign.view.status}.")


@with_lab
def _link(lab: "Lab", options: argparse.Namespace) -> None:
    link = lab.campaigns.get(options.campaign).invite(options.annotator, renew=options.renew, revoke=options.revoke)
    address = None if link.revoked else options.base.rstrip("/") + link.path
    if options.json:
        return print_json({"annotator": link.annotator, "name": link.name, "link": address})
    print(address or f"The link of {link.name} has ended; --renew gives a new one.")
    return None


@with_lab
def _status(lab: "Lab", options: argparse.Namespace) -> None:
    campaign = lab.campaigns.get(options.campaign)
    view, people = campaign.view, campaign.annotators()
    if options.json:
        return print_json(campaign.as_dict() | {"progress": people})
    items = f"{view.items:,} item{'s' if view.items != 1 else ''}"
    print(f"{view.name}: {view.status}, {view.got:,} of {view.wanted:,} answers on {items}")
    if view.problem:
        print(view.problem)
    for person in people:
        pace = f"{person.seconds_per_item:.1f} s an item" if person.seconds_per_item is not None else ""
        gold = f"{100 * person.gold:.0f} % of gold items right" if person.gold is not None else ""
        counts = f"{person.done:,} done, {person.skipped:,} skipped, {person.flagged:,} flagged"
        print(f"  {person.name}: {', '.join(part for part in (counts, pace, gold) if part)}")
    return None


@with_lab
def _agreement(lab: "Lab", options: argparse.Namespace) -> None:
    view = lab.campaigns.get(options.campaign).agreement()
    if options.json:
        return print_json(view)
    defined = {name: figure for name, figure in view.figures.items() if figure.value is not None}
    for name, figure in defined.items():
        print(f"{name}: {_interval(figure)}")
    for reason in dict.fromkeys(figure.why for name, figure in view.figures.items() if name not in defined):
        print(reason)
    shares = (
        ("self-consistency", view.consistency, "no item was answered twice yet"),
        ("first side preferred", view.position, "no answer was given on a card yet"),
    )
    for name, share, nothing in shares:
        test = f", p = {share.p:.3g} against one half" if share.p is not None else ""
        print(f"{name}: {nothing if share.value is None else _interval(share) + test}")
    if view.apart:
        print("Each annotator against the majority of the others:")
    for person, difference in view.apart:
        print(f"  {person}: {_interval(difference)}{'; differs from the rest' if difference.differs else ''}")
    return None


def _interval(figure: Any) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}), n = {figure.n:,}"


@with_lab
def _leaderboard(lab: "Lab", options: argparse.Namespace) -> None:
    board = lab.campaigns.get(options.campaign).leaderboard(length_control=options.length_control)
    if options.json:
        return print_json(board)
    for index, row in enumerate(board.rows):
        print(f"{row.rank:>3}  {row.score:6.0f} ({board.interval(index)})  {row.votes:>6,} votes  {row.system}")
    for gap in board.needed:
        print(f"{gap.better} to {gap.worse}: {gap.told}")
    for note in board.notes:
        print(note)
    return None


@with_lab
def _export(lab: "Lab", options: argparse.Namespace) -> None:
    campaign = lab.campaigns.get(options.campaign)
    what = "rankings" if options.rankings else "labels" if options.labels else "pairs"
    if options.out is None:
        create = campaign.labels if options.labels else campaign.preferences
        dataset = create(options.votes, options.name)
        fields = {"dataset": dataset.name, "rows": len(dataset), "splits": dataset.splits}
        return print_json(fields) if options.json else print(f"{dataset.name}: {len(dataset):,} {what}.")
    export = campaign.export(options.out, form=options.form, votes=options.votes, what=what, name=options.name)
    source = {"dataset": export.dataset} if export.dataset else {}
    if options.json:
        return print_json({"file": export.path, what: export.rows, **source})
    print(f"{export.path}: {export.rows:,} {what}{f', kept as the dataset {export.dataset}' if source else ''}.")
    return None


@with_lab
def _blind_compare(lab: "Lab", options: argparse.Namespace) -> None:
    campaign = lab.campaigns.blind_compare(options.run, rows=options.rows, overlap=options.overlap, seed=options.seed)
    if options.wait:
        campaign.wait(progress=True)
    print_json(campaign) if options.json else print(f"{campaign.title}.")


@with_lab
def _name_systems(lab: "Lab", options: argparse.Namespace) -> None:
    names = dict(part.split("=", 1) for part in options.name if "=" in part)
    if len(names) < len(options.name):
        raise LabError("A name is written as COLUMN=SYSTEM, such as response1=baseline.")
    campaign = lab.campaigns.get(options.campaign).name_systems(names)
    print_json(campaign) if options.json else print(f"{campaign.name}: {', '.join(names.values())}.")
