"""`feedback change|discard|disputes|adjudicate`: what a campaign's lead does beside following it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import Parser, Parsers, integer, number, print_json, text_of, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab


def add(commands: "Parsers[Parser]", shared: Parser) -> None:
    change = commands.add_parser("change", parents=[shared], help="a campaign's name, guidelines or overlap")
    change.add_argument("campaign")
    change.add_argument("--name", help="its new name")
    change.add_argument("--guidelines", type=Path, metavar="FILE", help="text that annotators can read at any time")
    change.add_argument("--overlap", type=integer, help="annotators per item")
    change.set_defaults(command=_change)
    discard = commands.add_parser("discard", parents=[shared], help="remove a campaign that has no answers")
    discard.add_argument("campaign")
    discard.set_defaults(command=_discard)
    disputes = commands.add_parser("disputes", parents=[shared], help="the items that annotators disagree on most")
    disputes.add_argument("campaign")
    disputes.add_argument("--limit", type=integer, default=20)
    disputes.set_defaults(command=_disputes)
    decide = commands.add_parser("adjudicate", parents=[shared], help="decide an item in place of its votes")
    decide.add_argument("campaign")
    decide.add_argument("item", type=number, help="as `feedback disputes` numbers it")
    choice = decide.add_mutually_exclusive_group(required=True)
    choice.add_argument("--order", metavar="'A > B = C'", help="its candidates, the best first")
    choice.add_argument("--undo", action="store_true", help="take the decision back; the votes count again")
    decide.add_argument("--note", default="", help="why; kept with the decision")
    decide.set_defaults(command=_adjudicate)


@with_lab
def _change(lab: "Lab", options: argparse.Namespace) -> None:
    if options.name is None and options.guidelines is None and options.overlap is None:
        raise LabError("Nothing is to change; give --name, --guidelines or --overlap.")
    guidelines = None if options.guidelines is None else text_of(options.guidelines, "guidelines")
    campaign = lab.campaigns.get(options.campaign)
    campaign.change(name=options.name, guidelines=guidelines, overlap=options.overlap)
    print_json(campaign) if options.json else print(f"{campaign.title}.")


@with_lab
def _discard(lab: "Lab", options: argparse.Namespace) -> None:
    campaign = lab.campaigns.get(options.campaign)
    name = campaign.name
    campaign.discard()
    print_json({"discarded": name}) if options.json else print(f"Discarded {name}.")


@with_lab
def _disputes(lab: "Lab", options: argparse.Namespace) -> None:
    disputes = lab.campaigns.get(options.campaign).disputes(options.limit)
    if options.json:
        return print_json(disputes)
    return print(repr(disputes) if disputes else "No item is in dispute.")


@with_lab
def _adjudicate(lab: "Lab", options: argparse.Namespace) -> None:
    campaign = lab.campaigns.get(options.campaign)
    if options.undo:
        campaign.undecide(options.item)
        print_json({"item": options.item, "decided": None}) if options.json else print(
            f"The votes on item {options.item} count again."
        )
        return
    campaign.adjudicate(options.item, options.order, options.note)
    print_json({"item": options.item, "decided": options.order}) if options.json else print(
        f"Item {options.item} is decided: {options.order}."
    )
