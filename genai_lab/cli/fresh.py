"""`feedback draw`: a campaign of fresh completions, of models x temperatures x samples for each prompt."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import Parser, integer, print_json, real, several, text_of, wait, with_lab
from genai_lab.feedback import MOST, CampaignPlan

if TYPE_CHECKING:
    from genai_lab.api import Lab


def add(parser: Parser) -> None:
    """Its own options; the plan's come from the caller."""
    several(parser, "--model", "a model", required=True)
    several(parser, "--temperature", "0 is greedy (default: 1)", kind=real)
    parser.add_argument(
        "--samples", type=integer, default=1, help=f"of each model at each temperature; 2 to {MOST} per item in total"
    )
    parser.add_argument("--max-new-tokens", type=integer, default=64)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompts", type=Path, metavar="FILE", help="text file, one prompt per line")
    source.add_argument("--dataset", metavar="NAME", help="NAME or NAME@VERSION, whose rows are the prompts")
    parser.add_argument("--template", default="plain", help="fills the prompts of a dataset (default: plain)")
    parser.add_argument("--split", default="", help="of the dataset (default: its first)")
    parser.add_argument("--rows", type=integer, default=50, help="drawn from the split with the seed (default: 50)")
    parser.add_argument("--wait", action="store_true", help="wait until the items are made")
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
def _draw(lab: "Lab", options: Namespace) -> None:
    plan = plan_of(options, options.name or "Fresh completions")
    campaign = lab.campaigns.generate(
        plan,
        options.model,
        prompts=text_of(options.prompts, "prompts").splitlines() if options.prompts else (),
        dataset=options.dataset,
        n=options.samples,
        temperatures=options.temperature or [1.0],
        max_new_tokens=options.max_new_tokens,
        template=options.template,
        split=options.split,
        rows=options.rows,
        open=options.open,
    )
    if options.wait:
        wait(lab, campaign.job_id)
    view = campaign.view
    if options.json:
        fields = {"campaign": view.id, "job": campaign.job_id}
        return print_json(fields | {"name": view.name, "status": view.status, "items": view.items})
    state = f"{view.items:,} items" if options.wait else f"made by job {campaign.job_id}"
    print(f"Campaign {view.id} ({view.name}): {state}.")
    return None
