"""`backup` copies the lab while it works, `restore` makes a lab of the copy, `lineage` walks back from a model."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, print_json, with_lab
from genai_lab.config import Config

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.services.backup import Backup


@COMMANDS.register("backup")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("backup", parents=[shared], help="a copy of the whole lab in one file; it works on")
    parser.add_argument("path", type=Path)
    parser.set_defaults(command=_backup)


@COMMANDS.register("restore")
def add_restore(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("restore", parents=[shared], help="a lab from a backup, in an empty --home")
    parser.add_argument("path", type=Path)
    parser.set_defaults(command=_restore)


@COMMANDS.register("lineage")
def add_lineage(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("lineage", parents=[shared], help="everything that a model came from")
    parser.add_argument("model")
    parser.set_defaults(command=_lineage)


@with_lab
def _backup(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.backup(options.path), options.json)


def _restore(options: argparse.Namespace) -> int:
    from genai_lab.services import backup

    _print(backup.restore(Config.from_environment(home=options.home), options.path), options.json)
    return 0


def _print(copy: "Backup", as_json: bool) -> None:
    if as_json:
        return print_json(copy)
    print(f"{copy.path}: {sum(copy.rows.values()):,} rows, {copy.files:,} files, {copy.bytes / 1e6:,.1f} MB.")
    return None


@with_lab
def _lineage(lab: "Lab", options: argparse.Namespace) -> None:
    lineage = lab.lineage(options.model)
    if options.json:
        return print_json(lineage)
    for node in lineage.nodes.values():
        detail = f", seed {node.detail['seed']}" if "seed" in node.detail else ""
        if node.kind == "campaign":
            detail += f", {len(node.detail['rankings']):,} rankings by {', '.join(node.detail['annotators'])}"
        print(f"{node.key:<14} {node.kind:<13} {node.name}{detail}")
    return None
