"""`demo`: a page that shows chosen models to visitors, blind, whose votes land in a campaign."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, number, print_json, real, several, with_lab

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.services.feedback.demos import DemoView


@COMMANDS.register("demo")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("demo", help="a page for visitors: create, list, link, close, reopen")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    create = commands.add_parser("create", parents=[shared], help="a demo; prints its link")
    create.add_argument("--title", required=True)
    several(create, "--model", "2 to 6 models", required=True)
    create.add_argument("--prompt", action="append", default=[], help="an example; may be repeated")
    create.add_argument("--intro", default="")
    create.add_argument("--preset", default="balanced", help="sampling: a preset's name")
    create.add_argument("--temperature", type=real, default=None, help="in place of the preset's; 0 is greedy")
    create.add_argument("--max-new-tokens", type=integer, default=128)
    create.add_argument("--max-characters", "--longest", type=integer, default=2000, help="per prompt (default: 2000)")
    create.add_argument(
        "--prompts-per-minute",
        "--a-minute",
        type=integer,
        default=6,
        help="of a visitor (default: 6)",
    )
    create.add_argument(
        "--prompts-per-hour",
        "--an-hour",
        type=integer,
        default=600,
        help="of all (default: 600)",
    )
    create.add_argument("--subtitle", default="", help="under the title")
    create.add_argument("--contact", default="", help="shown at the foot of the page")
    create.add_argument("--reveal", action="store_true", help="show after a vote which model wrote which answer")
    create.add_argument("--board", action="store_true", help="show after a vote how the models did so far")
    create.set_defaults(command=_create)
    commands.add_parser("list", parents=[shared], help="demos, newest first").set_defaults(command=_list)
    for name, text in (("link", "its link"), ("close", "visitors are told so"), ("reopen", "it takes visitors again")):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("demo", type=number)
        if name == "link":
            parser.add_argument("--renew", action="store_true", help="a new link; the old one stops working")
        parser.set_defaults(command=_change, action=name, renew=False)


@with_lab
def _create(lab: "Lab", options: argparse.Namespace) -> None:
    demo = lab.demos.create(
        options.title,
        options.model,
        preset=options.preset,
        temperature=options.temperature,
        max_new_tokens=options.max_new_tokens,
        prompts=options.prompt,
        intro=options.intro,
        longest=options.max_characters,
        a_minute=options.prompts_per_minute,
        an_hour=options.prompts_per_hour,
        subtitle=options.subtitle,
        contact=options.contact,
        reveal=options.reveal,
        board=options.board,
    )
    _print([demo], options.json, is_list=False)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.demos.list(), options.json, is_list=True)


@with_lab
def _change(lab: "Lab", options: argparse.Namespace) -> None:
    demo = lab.demos.renew_link(options.demo) if options.renew else lab.demos.get(options.demo)
    if options.action != "link":
        demo = (lab.demos.close if options.action == "close" else lab.demos.reopen)(options.demo)
    _print([demo], options.json, is_list=False)


def _print(views: "Sequence[DemoView]", as_json: bool, is_list: bool) -> None:
    from genai_lab.services.feedback import demos

    rows = demos.rows_as_dicts(views)
    if as_json:
        return print_json(rows if is_list else rows[0])
    for row in rows:
        state = "closed" if row["closed"] else "open"
        print(f"{row['demo']:>4}  {state:<7} {row['votes']:>6,} votes  {row['title']}  {row['link']}")
    if not rows:
        print("No demos.")
    return None
