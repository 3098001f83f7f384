"""`demo`: a page that shows chosen models to visitors, blind, whose votes land in a campaign."""

import argparse
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, integer, number, print_json, real, with_lab

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("demo")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("demo", help="a page for visitors: create, list, link, close, reopen")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    create = commands.add_parser("create", parents=[shared], help="a demo; prints its link")
    create.add_argument("--title", required=True)
    create.add_argument("--model", action="append", required=True, help="2 to 6, may be repeated")
    create.add_argument("--prompt", action="append", default=[], help="an example; may be repeated")
    create.add_argument("--intro", default="")
    create.add_argument("--preset", default="balanced", help="sampling: a preset's name")
    create.add_argument("--temperature", type=real, default=None, help="in place of the preset's; 0 is greedy")
    create.add_argument("--max-new-tokens", type=integer, default=128)
    create.add_argument("--longest", type=integer, default=2000, help="characters a prompt (default: 2000)")
    create.add_argument("--a-minute", type=integer, default=6, help="prompts of one visitor a minute (default: 6)")
    create.add_argument("--an-hour", type=integer, default=600, help="prompts of all visitors an hour (default: 600)")
    create.add_argument("--subtitle", default="", help="under the title")
    create.add_argument("--contact", default="", help="shown at the foot of the page")
    create.add_argument("--reveal", action="store_true", help="tell after a vote which model wrote which answer")
    create.add_argument("--board", action="store_true", help="show after a vote how the models did so far")
    create.set_defaults(command=_create)
    commands.add_parser("list", parents=[shared], help="demos, newest first").set_defaults(command=_list)
    for name, text in (("link", "its link"), ("close", "visitors are told so"), ("reopen", "it takes visitors again")):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("demo", type=number)
        if name == "link":
            parser.add_argument("--renew", action="store_true", help="a new link; the old one opens nothing any more")
        parser.set_defaults(command=_one, action=name, renew=False)


@with_lab
def _create(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import demos

    plan = demos.DemoPlan(
        options.title,
        tuple(options.model),
        tuple(options.prompt),
        options.intro,
        demos.sampling(lab, options.preset, options.max_new_tokens, options.temperature),
        options.longest,
        options.a_minute,
        options.an_hour,
        options.subtitle,
        options.contact,
        options.reveal,
        options.board,
    )
    _told([demos.create(lab, plan)], options.json, whole=False)


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import demos

    _told(demos.find(lab), options.json, whole=True)


@with_lab
def _one(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services.feedback import demos

    if options.renew:
        demos.link(lab, options.demo, renew=True)
    view = demos.show(lab, options.demo)
    if options.action != "link":
        view = demos.close(lab, options.demo, options.action == "close")
    _told([view], options.json, whole=False)


def _told(views: list[Any], as_json: bool, whole: bool) -> None:
    from genai_lab.services.feedback import demos

    found = demos.told(views)
    if as_json:
        return print_json(found if whole else found[0])
    for one in found:
        state = "closed" if one["closed"] else "open"
        print(f"{one['demo']:>4}  {state:<7} {one['votes']:>6,} votes  {one['title']}  {one['link']}")
    if not found:
        print("No demos.")
    return None
