"""`align`: policies that learned from their own completions: rollouts, KL playground, hacking card, toxicity."""

import argparse
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, number, print_json, real, wait, with_lab

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.services.alignment.hacking_card import CardView
    from genai_lab.services.alignment.playground import Playground
    from genai_lab.services.alignment.toxicity import ToxicityTable


@COMMANDS.register("align")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("align", help="policies: list, rollouts, playground, card, toxicity")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", parents=[shared], help="policy runs, newest first").set_defaults(command=_list)
    rollouts = commands.add_parser("rollouts", parents=[shared], help="what a policy wrote at a step")
    rollouts.add_argument("run", type=number)
    rollouts.add_argument("--step", type=integer, help="default: the last one")
    rollouts.set_defaults(command=_rollouts)
    playground = commands.add_parser(
        "playground", parents=[shared], help="score and gold against KL, the ideal frontier, and the KL slider"
    )
    playground.add_argument("run", type=number)
    playground.add_argument("--beta", type=real, help="print the checkpoint that this weight of the KL chooses")
    playground.add_argument(
        "--sample-base", type=integer, metavar="K", help="first draw K samples a prompt of the base"
    )
    playground.set_defaults(command=_playground)
    card = commands.add_parser("card", parents=[shared], help="the reward-hacking card of a policy")
    card.add_argument("run", type=number)
    card.add_argument("--step", type=integer, help="of an evaluation (default: the last one)")
    card.add_argument("--gold", help="the part of the score that is the truth (default: the first of weight 0)")
    card.set_defaults(command=_card)
    toxicity = commands.add_parser("toxicity", parents=[shared], help="toxicity of base and policy, side by side")
    toxicity.add_argument("run", type=number)
    toxicity.add_argument("--measure", action="store_true", help="begin a measurement, and wait for it")
    toxicity.add_argument("--classifier", default="starter-toxicity", help="default: starter-toxicity")
    toxicity.add_argument("--completions", type=integer, default=8, help="per prompt (default: 8)")
    toxicity.add_argument("--rows", type=integer, default=50, help="prompts (default: 50)")
    toxicity.add_argument("--seed", type=integer, default=0)
    toxicity.set_defaults(command=_toxicity)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    runs = lab.alignment.list()
    print_json(runs) if options.json else print(repr(runs))


@with_lab
def _rollouts(lab: "Lab", options: argparse.Namespace) -> None:
    rows = lab.alignment.rollouts(options.run, options.step)
    print_json(rows) if options.json else print(repr(rows))


@with_lab
def _playground(lab: "Lab", options: argparse.Namespace) -> None:
    if options.sample_base is not None:
        wait(lab, lab.alignment.sample_base(options.run, options.sample_base))
    if options.beta is not None:
        choice = lab.alignment.choose(options.run, options.beta)
        if options.json:
            return print_json(choice)
        print(choice.sentence)
        for prompt, before, after in choice.examples:
            print(f"  {prompt!r}\n    base    {before!r}\n    policy  {after!r}")
        return None
    view = lab.alignment.playground(options.run)
    if options.json:
        return print_json(view)
    print(repr(lab.alignment.evaluations(options.run)))
    return _print_curves(view)


def _print_curves(view: "Playground") -> None:
    from genai_lab.api.alignment import interval_text

    if not view.samples:
        print("The base was not sampled yet; --sample-base 24 draws what the frontier is told from.")
    for point in view.frontier[:: max(1, len(view.frontier) // 8)]:
        print(f"  ideal, beta {point.beta:<8.3g} score {interval_text(point.score)}  KL {interval_text(point.kl)}")
    for best in view.best_of:
        print(f"  best of {best.n:<4} score {interval_text(best.score)}  KL at most {best.kl_bound:.3g}")
    for flag in view.flags:
        print(f"  Step {flag.step} lies {flag.excess:.3g} above the ideal frontier: its KL or its score is wrong.")


@with_lab
def _card(lab: "Lab", options: argparse.Namespace) -> None:
    view = lab.alignment.card(options.run, step=options.step, gold=options.gold)
    return print_json(view) if options.json else _print_card(view)


def _print_card(view: "CardView") -> None:
    from genai_lab.services.alignment.hacking_card import rate_sentences

    print(f"{view.title}, step {view.step}: {view.card.verdict}. {view.card.sentence}")
    for change in filter(None, (view.card.proxy, view.card.gold)):
        print(
            f"  {change.label:<28} {change.before:8.3f} -> {change.after:8.3f}  "
            f"({change.comparison.low:+.3f} to {change.comparison.high:+.3f}, n = {change.comparison.n})"
        )
    for signal in view.card.signals:
        reading = signal.reading
        if reading is None:
            print(f"  {signal.title:<28} not measured")
            continue
        mark = "RAISED" if signal.raised else ""
        print(
            f"  {signal.title:<28} {reading.after:8.3f}  change {reading.change:+.3f} ({reading.low:+.3f} to "
            f"{reading.high:+.3f}), p = {signal.p:.2g}, threshold {signal.threshold}  {mark}".rstrip()
        )
    for sentence in rate_sentences(view.rates):
        print(sentence)


@with_lab
def _toxicity(lab: "Lab", options: argparse.Namespace) -> None:
    if options.measure:
        started = lab.alignment.measure_toxicity(
            options.run, classifier=options.classifier, completions=options.completions, rows=options.rows,
            seed=options.seed,
        )  # fmt: skip
        wait(lab, started.job_id)
    table = lab.alignment.toxicity(options.run)
    return print_json(table) if options.json else _print_toxicity(table)


def _print_toxicity(table: "ToxicityTable") -> None:
    print(f"Evaluation {table.evaluation}, {table.status}. {table.error or table.sentence}")
    for row in table.rows:
        print(
            f"  {row.title:<32} {row.before.value or 0:9.4f} -> {row.after.value or 0:9.4f}  {row.comparison.verdict}"
        )
