"""`reward train|score`: a reward model from preference pairs, and what it says of completions."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, print_json, text_of, wait, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab

MOST_LINES = 1_000_000


@COMMANDS.register("reward")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("reward", help="reward models: train one on preferences, score completions with one")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    train_options(verbs.add_parser("train", parents=[shared], help="a reward model from a campaign or a dataset"))
    score = verbs.add_parser("score", parents=[shared], help="the reward of each completion of a file or of runs")
    score.add_argument("--model", required=True)
    source = score.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="FILE", help="JSON lines")
    source.add_argument("--run", type=integer, action="append", help="a run of the history; may be repeated")
    score.add_argument("--prompt", default="prompt", metavar="COLUMN")
    score.add_argument("--completion", default="completion", metavar="COLUMN")
    score.set_defaults(command=_score)


def train_options(parser: Parser, objective: str = "reward") -> None:
    """The options of `reward train`, `feedback train-reward` and `feedback tune-policy`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--campaign")
    source.add_argument("--dataset", metavar="NAME@V", help="pairs of completions, or labels of single ones")
    base = "starter-toxicity" if objective == "reward" else None
    parser.add_argument("--base", default=base, required=base is None, help="the model that it starts from")
    method = "full" if objective == "reward" else "lora"
    parser.add_argument("--method", default=method, help=f"of fine-tuning (default: {method})")
    parser.add_argument(
        "--max-steps",
        "--steps",
        type=integer,
        default=0,
        help="0: six passes over the pairs, or one where the base is large",
    )
    if objective != "reward":
        parser.add_argument("--objective", default=objective, help="dpo reads pairs, kto labels of completions")
    parser.add_argument("--learning-rate", type=float, help="default: what suits the method and the base")
    parser.add_argument("--seed", type=integer, default=0, help="of held-out pairs, order and the new head")
    parser.add_argument("--votes", default="kept", help="of a campaign: kept or majority")
    parser.add_argument("--name", default="", help="of the model that it makes")
    parser.add_argument("--wait", action="store_true", help="wait until it has finished, and print its report")
    parser.set_defaults(command=_train, maker="train_reward" if objective == "reward" else "tune_policy")


@with_lab
def _train(lab: "Lab", options: argparse.Namespace) -> None:
    source = lab.campaigns.get(options.campaign) if options.campaign is not None else options.dataset
    settings: dict[str, Any] = {"seed": options.seed}
    if options.learning_rate is not None:
        settings["learning_rate"] = options.learning_rate
    if "objective" in options:
        settings["objective"] = options.objective
    train: Any = getattr(lab, options.maker)
    run = train(
        source,
        options.base,
        method=options.method,
        max_steps=options.max_steps,
        votes=options.votes,
        name=options.name,
        **settings,
    )
    started = {"run": run.id, "run_id": run.id, "job": run.job_id, "job_id": run.job_id, "model": run.model}
    if not options.wait:
        if options.json:
            return print_json(started)
        print(f"Run {run.id} makes {run.model} as job {run.job_id}.")
        return None
    wait(lab, run.job_id)
    view = run.view
    if options.json:
        return print_json(started | {"status": view.status, "outcome": view.outcome, "report": view.report})
    return _print_report(view.model, view.report)


def _print_report(model: str | None, report: dict[str, Any]) -> None:
    if "accuracy" not in report:
        print(f"{model} is ready; `tuning show` has its curves.")
        return
    figures = {str(model): report["accuracy"], **report["baselines"]}
    print(f"{report['n']:,} held-out pairs of {report['prompts']:,} prompts, 95 % intervals:")
    for name, figure in figures.items():
        print(f"  {name}: {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})")
    for sentence in report["sentences"]:
        print(sentence)


@with_lab
def _score(lab: "Lab", options: argparse.Namespace) -> None:
    if options.run:
        scores = lab.score_runs(options.model, options.run)
        if options.json:
            return print_json({"model": options.model, "scores": scores})
        for score in scores:
            print(f"{score.reward:.6f}  run {score.run}  {' '.join(score.text.split())[:80]}")
        return None
    pairs = list(_pairs(options.data, options.prompt, options.completion))
    rewards = lab.score(options.model, [prompt for prompt, _ in pairs], [completion for _, completion in pairs])
    if options.json:
        return print_json({"model": options.model, "scores": rewards})
    for reward in rewards:
        print(f"{reward:.6f}")
    return None


def _pairs(path: Path, prompt: str, completion: str) -> Iterator[tuple[str, str]]:
    """(prompt, completion) of each line; raises LabError naming the line that has none."""
    lines = text_of(path, "completions").split("\n")
    for index, line in enumerate(lines[:MOST_LINES], 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise LabError(f"Line {index:,} of {path} is not valid JSON; write one object a line.") from None
        for name in (prompt, completion):
            if not isinstance(row, dict) or not isinstance(row.get(name), str):
                raise LabError(f"Line {index:,} of {path} has no text called {name!r}; name the column that has it.")
        yield row[prompt], row[completion]
