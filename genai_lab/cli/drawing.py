"""`feedback draw`: a campaign of fresh completions, of models x temperatures x samples for each prompt."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli import Parser, integer, print_json, real, text_of, with_lab
from genai_lab.feedback import MOST, CampaignPlan

if TYPE_CHECKING:
    from genai_lab.context import LabContext


def add(parser: Parser) -> None:
    """Its own options; the plan's come from the caller."""
    parser.add_argument("--model", action="append", required=True, help="may be repeated")
    parser.add_argument("--temperature", type=real, action="append", help="may be repeated; 0 is greedy (default: 1)")
    parser.add_argument(
        "--samples", type=integer, default=1, help=f"of each model at each temperature; 2 to {MOST} an item in all"
    )
    parser.add_argument("--max-new-tokens", type=integer, default=64)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, metavar="FILE", help="text, one prompt a line")
    source.add_argument("--dataset", metavar="NAME", help="NAME or NAME@VERSION, whose rows are the prompts")
    parser.add_argument("--template", default="plain", help="fills the prompts of a dataset (default: plain)")
    parser.add_argument("--split", default="", help="of the dataset (default: its first)")
    parser.add_argument("--rows", type=integer, default=50, help="drawn from the split with the seed (default: 50)")
    parser.add_argument("--wait", action="store_true", help="stay until the items are made")
    parser.set_defaults(command=_draw)


def plan_of(options: Namespace, name: str) -> CampaignPlan:
    """The campaign that the options of `feedback` describe."""
    return CampaignPlan(
        name,
        options.criterion,
        text_of(options.guidelines, "guidelines") if options.guidelines else "",
        options.kind,
        options.overlap,
        not options.no_ties,
        not options.no_both_bad,
        options.repeats,
        seed=options.seed,
    )


@with_lab
def _draw(lab: "LabContext", options: Namespace) -> None:
    from genai_lab.cli.jobs import waited
    from genai_lab.services import feedback
    from genai_lab.services.feedback import fresh

    plan = plan_of(options, options.name or "Fresh completions")
    begun = fresh.start(
        lab,
        plan,
        options.model,
        dataset=options.dataset or "",
        prompts=text_of(options.prompts, "prompts").splitlines() if options.prompts else (),
        template=options.template,
        samplings=fresh.samplings(options.temperature or [1.0], options.max_new_tokens),
        samples=options.samples,
        rows=options.rows,
        split=options.split,
        seed=options.seed,
        opened=options.open,
    )
    if options.wait:
        waited(lab, begun.job, None)
    view = feedback.show(lab, begun.campaign)
    if options.json:
        return print_json(asdict(begun) | {"name": view.name, "status": view.status, "items": view.items})
    told = f"{view.items:,} items" if options.wait else f"drawn by job {begun.generating}, made by job {begun.job}"
    print(f"Campaign {view.id} ({view.name}): {told}.")
    return None
