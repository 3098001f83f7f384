"""`recipes list|show|run|answer`: experiments that run as they stand, on a file, a dataset of the lab or the Hub."""

import argparse
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, print_json, progress, several, wait, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.api.recipes import RecipeRun
    from genai_lab.recipes import Recipe


@COMMANDS.register("recipes")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("recipes", help="experiments that run as they stand: list, show, run, answer")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", parents=[shared], help="every recipe").set_defaults(command=_list)
    show = commands.add_parser("show", parents=[shared], help="what a recipe needs and does")
    show.add_argument("name")
    show.set_defaults(command=_show)
    run = commands.add_parser("run", parents=[shared], help="run a recipe, as jobs")
    run.add_argument("name")
    run.add_argument(
        "--data", default="", metavar="FILE", help="a file, a dataset of the lab, or hub (default: its newest dataset)"
    )
    several(run, "--model", "a model in place of the recipe's own")
    run.add_argument("--rows", type=integer, help="rows that are answered (default: the recipe's)")
    run.add_argument("--max-steps", type=integer, help="steps of training, where it trains (default: the recipe's)")
    run.add_argument("--wait", action="store_true", help="wait until it has finished, and print the answer")
    run.set_defaults(command=_run)
    answer = commands.add_parser("answer", parents=[shared], help="what the newest run of a recipe has come to")
    answer.add_argument("name")
    answer.set_defaults(command=_answer)


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    recipes = lab.recipes.list()
    if options.json:
        return print_json(recipes)
    for recipe in recipes:
        print(f"{recipe.name:<18} {recipe.title}")
        print(f"{'':<18} needs {recipe.data.about}; licence: {recipe.data.licence}")
    return None


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    recipe = lab.recipes.get(options.name)
    if options.json:
        return print_json(recipe)
    print(f"{recipe.title}\n{recipe.question}")
    for line in _facts(recipe):
        print(f"  {line}")
    return None


def _facts(recipe: "Recipe") -> list[str]:
    data = recipe.data
    columns = ", ".join(f"{role} ({' or '.join(names)})" for role, names in data.columns.items())
    lines = [
        f"data      {data.about}",
        f"columns   {columns}",
        f"licence   {data.licence}",
        f"from      {data.hub.repo + ' of the Hub, or ' if data.hub else ''}a file of yours ({data.published_at})",
        f"models    {', else '.join(recipe.models)}",
        f"template  {recipe.template}, {recipe.format}",
        f"shots     {', '.join(map(str, recipe.shots))}, {recipe.selector}",
        f"rows      {recipe.rows}",
        f"metrics   {', '.join(spec.metric for spec in recipe.metrics)}; the answer is about {recipe.figure}",
    ]
    if data.labels:
        lines.insert(2, f"labels    {', '.join(data.labels)}")
    if recipe.tuning:
        lines.append(f"methods   {', '.join(recipe.tuning.methods)}; forgetting on {', '.join(recipe.tuning.suites)}")
    return lines


@with_lab
def _run(lab: "Lab", options: argparse.Namespace) -> None:
    started = lab.recipes.run(
        options.name,
        options.data,
        models=options.model or (),
        rows=options.rows,
        max_steps=options.max_steps,
        tell=progress,
    )
    if options.wait:
        wait(lab, started.job_id)
        return _print(started, options.json)
    if options.json:
        return print_json({"recipe": options.name, "run": started.id, "job": started.job_id, "url": started.url})
    print(f"Recipe {options.name} is queued; `recipes answer {options.name}` shows what it has come to.")
    return None


@with_lab
def _answer(lab: "Lab", options: argparse.Namespace) -> None:
    newest = lab.recipes.latest(options.name)
    if newest is None:
        raise LabError(f"The recipe {options.name} has not been run; start it with `recipes run {options.name}`.")
    _print(newest, options.json)


def _print(run: "RecipeRun", as_json: bool) -> None:
    if as_json:
        return print_json(run)
    answer = run.answer
    print(run.title)
    for row in answer.rows:
        value = "–" if row.value is None else f"{row.value:.3f} (95 % interval {row.low:.3f} to {row.high:.3f})"
        print(f"  {row.label:<40} {answer.figure} {value}, n = {row.n}")
    for sentence in (*answer.sentences, *answer.verdicts):
        print(sentence)
    return None
