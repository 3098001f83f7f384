"""The command line is as able as the pages: what a page starts has a command, by the services that each calls."""

import argparse
import ast
from functools import cache
from pathlib import Path

import pytest

from genai_lab.cli import parser

ROOT = Path(__file__).resolve().parents[1]
SERVICES = "genai_lab.services."
# What pages start, and the command that starts it too.
ACTIONS = {
    "generation.start": "generate",
    "generation.start_many": "generate",
    "generation.replay": "history replay",
    "history.to_jsonl": "history export",
    "history.delete_runs": "history delete",
    "history.undelete_runs": "history restore",
    "snippets.as_python": "history python",
    "presets.save_preset": "presets save",
    "presets.delete_preset": "presets delete",
    "datasets.make": "datasets import",
    "datasets.start": "datasets import",
    "datasets.split_again": "datasets split",
    "datasets.profile": "datasets show",
    "datasets.archive": "datasets archive",
    "templates.save": "prompts templates add",
    "templates.tag": "prompts templates tag",
    "templates.archive": "prompts templates archive",
    "templates.restore": "prompts templates restore",
    "prompting.preview": "prompts templates fill",
    "matrix.start": "prompts run",
    "matrix.rerun": "prompts rerun",
    "evaluation.run_models": "evaluate run",
    "evaluation.start": "evaluate compare",
    "evaluation.suites.run": "evaluate suite",
    "evaluation.uploads.systems": "evaluate upload",
    "evaluation.harness.start": "evaluate harness",
    "evaluation.report.to_html": "evaluate report",
    "training.studies.start_gated": "train",
    "training.resume": "tuning resume",
    "training.keep": "tuning keep",
    "training.rename": "tuning rename",
    "training.merge": "tuning merge",
    "training.studies.sweep": "study sweep",
    "training.studies.bake_off": "study bake-off",
    "training.studies.shots_against_tuning": "study shots",
    "training.studies.forgetting": "study forgetting",
    "training.studies.gate": "study gate",
    "feedback.campaign_models.train": "reward train",
    "feedback.campaign_models.before_and_after": "feedback blind-compare",
    "feedback.sources.from_runs": "feedback create",
    "feedback.sources.from_file": "feedback import",
    "feedback.fresh.start": "feedback draw",
    "feedback.move": "feedback open",
    "feedback.links.invite": "feedback link",
    "feedback.links.renew": "feedback link",
    "feedback.systems.name_systems": "feedback name-systems",
    "feedback.exporting.to_dataset": "feedback export",
    "feedback.demos.create": "demo create",
    "feedback.demos.close": "demo close",
    "rewards.of_runs": "reward score",
    "feedback.change": "feedback change",
    "feedback.discard": "feedback discard",
    "feedback.figures.adjudicate": "feedback adjudicate",
    "feedback.figures.undecide": "feedback adjudicate",
    "matrix.promoting.promote": "prompts promote",
    "matrix.reading.rate": "prompts rate",
    "matrix.thumbs.to_dataset": "prompts thumbs",
    "alignment.best_to_dataset": "prompts best",
    "templates.copy": "prompts templates copy",
    "templates.untag": "prompts templates untag",
    "datasets.give_up": "datasets resolve",
    "datasets.without_bad": "datasets resolve",
    "models.add": "models add",
    "models.convert": "models convert",
    "models.shelf.get": "models get",
    "models.convert_model": "models convert",
    "models.choose_dtype": "models dtype",
    "models.archive": "models archive",
    "models.restore": "models restore",
    "jobs.cancel": "jobs cancel",
    "jobs.retry": "jobs retry",
    "lineage.walk_from": "lineage",
    "backup_store.find": "backups list",
    "backup_store.delete": "backups delete",
    "backup_store.restore_commands": "backups how-to-restore",
    "recipes.recognise": "recipes run",
    "alignment.playground.start": "align playground",
    "alignment.toxicity.start": "align toxicity",
}
# What pages start under another name than the command line, by the function that this calls instead.
SAME_AS = {
    "feedback.campaign_models.study": "training.reward_studies.learning_curve",
    "runs.replay": "generation.replay",
    "backup_store.start": "backup_store.create",
    "recipes.run_steps": "recipes.run",
    "generation.generate": "generation.start",
    "training.start": "training.studies.start_gated",
    "training.cancel": "jobs.cancel",
    "evaluation.run_cells": "evaluation.start",
    "datasets.start_profile": "datasets.profile",
    "datasets.export_file": "datasets.export",
    "feedback.exporting.export_file": "feedback.exporting.export",
    "models.start_download": "models.download",
    "models.measure_watched": "models.measure",
    "models.shelf.cancel": "jobs.cancel",
    "models.cancel_download": "jobs.cancel",
    "training.export_file": "training.export",
    "rewards.rank": "rewards.score",
}
# Actions of pages without a command, and why.
PAGES_ALONE = {
    "models.unload": "a loaded model is in the memory of one process, and a command's ends with it; the API has "
    "models.unload for a notebook's own",
    "generation.cancel": "a generation lives in the process that streams it: Ctrl-C stops a command's and keeps its "
    "text, Stream.cancel a notebook's, Stop the app's; what runs in a job ends by jobs cancel",
}
VERBS = {
    "add", "adjudicate", "archive", "bake_off", "before_and_after", "best_to_dataset", "cancel", "change",
    "close", "copy", "create",
    "delete", "delete_preset", "delete_runs", "discard", "export_file", "forgetting", "from_file", "from_runs", "gate",
    "generate", "give_up", "invite", "keep", "make", "merge", "move", "name_systems", "promote", "rank", "rate",
    "rename", "renew", "replay", "rerun", "restore", "resume", "retry", "run", "run_cells", "run_models", "save",
    "save_preset", "shots_against_tuning", "split_again", "start", "start_download", "start_gated", "start_many",
    "start_profile", "study", "sweep", "tag", "train", "undecide", "undelete_runs", "unload", "untag", "without_bad",
    "cancel_download", "choose_dtype", "convert", "convert_model", "measure_watched", "run_steps",
}  # fmt: skip


@cache
def calls(*folders: str) -> frozenset[str]:
    """The functions of services that the modules below these folders name, such as `jobs.cancel`."""
    named: set[str] = set()
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {
            alias.asname or alias.name: f"{node.module}.{alias.name}.".removeprefix(SERVICES)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(SERVICES)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                named.add(modules[node.value.id] + node.attr)
            elif isinstance(node, ast.Name) and node.id in modules:
                named.add(modules[node.id].rstrip("."))
    return frozenset(named)


@cache
def commands() -> frozenset[str]:
    """Every command of the parser, such as `feedback create`."""
    names: set[str] = set()

    def walk(part: argparse.ArgumentParser, path: str) -> None:
        for action in part._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, inner in action.choices.items():
                    names.add(f"{path} {name}".strip())
                    walk(inner, f"{path} {name}".strip())

    walk(parser(), "")
    return frozenset(names)


@pytest.mark.parametrize("function", ACTIONS)
def test_what_a_page_starts_has_a_command(function: str) -> None:
    assert ACTIONS[function] in commands()
    assert function in calls("genai_lab/cli", "genai_lab/api"), "neither the API nor the command line calls it"


@pytest.mark.parametrize("function", SAME_AS)
def test_the_command_line_calls_what_does_the_same(function: str) -> None:
    assert SAME_AS[function] in calls("genai_lab/cli", "genai_lab/api")


def test_no_page_starts_what_the_table_does_not_know() -> None:
    started = {name for name in calls("pages") if "." in name and name.rpartition(".")[2] in VERBS}
    existing = ACTIONS.keys() | SAME_AS.keys() | PAGES_ALONE.keys() | {"generation.run"}
    assert not started - existing, "add a command, and a line to the table"
