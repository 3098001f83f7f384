"""`backup` copies the lab while it works, `restore` makes a lab of the copy, `lineage` walks back from a model."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, print_json, with_lab
from genai_lab.config import Config

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("backup")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    parser = parts.add_parser("backup", parents=[shared], help="a copy of the whole lab in one file; it works on")
    parser.add_argument("path", type=Path)
    parser.set_defaults(command=_backup)


@COMMANDS.register("restore")
def add_restore(parts: "Parsers[Parser]", shared: Parser) -> None:
    parser = parts.add_parser("restore", parents=[shared], help="a lab from a backup, in an empty --home")
    parser.add_argument("path", type=Path)
    parser.set_defaults(command=_restore)


@COMMANDS.register("lineage")
def add_lineage(parts: "Parsers[Parser]", shared: Parser) -> None:
    parser = parts.add_parser("lineage", parents=[shared], help="everything that a model came from")
    parser.add_argument("model")
    parser.set_defaults(command=_lineage)


@with_lab
def _backup(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import backup

    _told(backup.backup(lab, options.path), options.json)


def _restore(options: argparse.Namespace) -> int:
    from genai_lab.services import backup

    _told(backup.restore(Config.from_environment(home=options.home), options.path), options.json)
    return 0


def _told(made: Any, as_json: bool) -> None:
    if as_json:
        return print_json(dataclasses.asdict(made))
    print(f"{made.path}: {sum(made.rows.values()):,} rows, {made.files:,} files, {made.bytes / 1e6:,.1f} MB.")
    return None


@with_lab
def _lineage(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import lineage

    found = lineage.walk(lab, options.model)
    if options.json:
        return print_json(found.as_dict())
    for node in found.nodes.values():
        told = f", seed {node.detail['seed']}" if "seed" in node.detail else ""
        if node.kind == "campaign":
            told += f", {len(node.detail['rankings']):,} rankings by {', '.join(node.detail['annotators'])}"
        print(f"{node.key:<14} {node.kind:<13} {node.name}{told}")
    return None
