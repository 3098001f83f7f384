"""`reward train|score`: a reward model from preference pairs, and what one says of completions."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, integer, print_json, text_of, with_lab
from genai_lab.cli.jobs import waited
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.context import LabContext

MOST_LINES = 1_000_000


@COMMANDS.register("reward")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    group = parts.add_parser("reward", help="reward models: train one on preferences, score completions with one")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    train = verbs.add_parser("train", parents=[shared], help="a reward model from a dataset of pairs, as a job")
    train.add_argument("--dataset", required=True, metavar="NAME@V", help="pairs of chosen and rejected completions")
    train.add_argument("--base", required=True, metavar="MODEL", help="the model that becomes one")
    train.add_argument("--method", choices=("full", "lora"), default="full")
    train.add_argument("--steps", type=integer, default=0, help="0: six passes over the pairs, 100 to 1,200 steps")
    train.add_argument("--seed", type=integer, default=0, help="draws held-out pairs, order and the new head")
    train.add_argument("--name", default="", help="of the model that it makes")
    train.add_argument("--wait", action="store_true", help="stay until it has ended, and print what came of it")
    train.set_defaults(command=_train)
    score = verbs.add_parser("score", parents=[shared], help="the reward of each completion of a file or of runs")
    score.add_argument("--model", required=True)
    source = score.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="FILE", help="JSON lines")
    source.add_argument("--run", type=integer, action="append", help="a run of the history; may be repeated")
    score.add_argument("--prompt", default="prompt", metavar="COLUMN")
    score.add_argument("--completion", default="completion", metavar="COLUMN")
    score.set_defaults(command=_score)


@with_lab
def _train(lab: "LabContext", options: argparse.Namespace) -> None:
    trained(lab, options.dataset, options)


def trained(lab: "LabContext", dataset: str, options: argparse.Namespace) -> None:
    """Begins the run that `options` name, and tells what came of it where they say to wait."""
    from dataclasses import replace

    from genai_lab.services import training
    from genai_lab.services.training import reward_studies

    plan = reward_studies.default_plan(lab, dataset, options.base, options.method, options.steps)
    plan = replace(plan, training=replace(plan.training, seed=options.seed))
    begun = training.start(lab, plan, name=options.name)
    if not options.wait:
        if options.json:
            return print_json(asdict(begun))
        print(f"Run {begun.run_id} makes {begun.model} as job {begun.job_id}.")
        return None
    waited(lab, begun.job_id, None)
    view = training.show(lab, begun.run_id)
    if options.json:
        return print_json(asdict(begun) | {"status": view.status, "outcome": view.outcome, "report": view.report})
    return _told(view.model, view.report)


def _told(model: str | None, report: dict[str, Any]) -> None:
    rows = {str(model): report["accuracy"], **report["baselines"]}
    print(f"{report['n']:,} held-out pairs of {report['prompts']:,} prompts, 95 % intervals:")
    for name, one in rows.items():
        print(f"  {name}: {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})")
    for sentence in report["sentences"]:
        print(sentence)


@with_lab
def _score(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import rewards

    if options.run:
        scored = rewards.of_runs(lab, options.model, options.run)
        if options.json:
            return print_json({"model": options.model, "scores": [asdict(one) for one in scored]})
        for one in scored:
            print(f"{one.reward:.6f}  run {one.run}  {' '.join(one.text.split())[:80]}")
        return None
    pairs = list(_pairs(options.data, options.prompt, options.completion))
    found = rewards.score(lab, options.model, [prompt for prompt, _ in pairs], [one for _, one in pairs])
    if options.json:
        return print_json({"model": options.model, "scores": found})
    for value in found:
        print(f"{value:.6f}")
    return None


def _pairs(path: Path, prompt: str, completion: str) -> Any:
    """(prompt, completion) of each line; raises LabError naming the line that has none."""
    lines = text_of(path, "completions").split("\n")
    for number, line in enumerate(lines[:MOST_LINES], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise LabError(f"Line {number:,} of {path} is no JSON; write one object a line.") from None
        for name in (prompt, completion):
            if not isinstance(row, dict) or not isinstance(row.get(name), str):
                raise LabError(f"Line {number:,} of {path} has no text called {name!r}; name the column that has it.")
        yield row[prompt], row[completion]
