"""`backup` copies the lab while it works, `restore` makes a lab of the copy, `lineage` walks back and forward."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, number, print_json, with_lab
from genai_lab.config import Config

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.services.backup import Backup


@COMMANDS.register("backup")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser(
        "backup", parents=[shared], help="a copy of the whole lab in one file; the lab keeps running meanwhile"
    )
    parser.add_argument("path", type=Path)
    parser.set_defaults(command=_backup)


@COMMANDS.register("backups")
def add_backups(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("backups", help="copies of the lab in its own home: create, list, delete, how-to-restore")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("create", parents=[shared], help="a new backup").set_defaults(command=_create)
    commands.add_parser("list", parents=[shared], help="backups, newest first").set_defaults(command=_list)
    for name, text, command in (
        ("delete", "removes a backup's file", _delete),
        ("how-to-restore", "the commands that put a backup in the place of this lab", _print_restore_commands),
    ):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("name")
        parser.set_defaults(command=command)


@COMMANDS.register("restore")
def add_restore(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("restore", parents=[shared], help="restore a lab from a backup into an empty --home")
    parser.add_argument("path", type=Path)
    parser.set_defaults(command=_restore)


@COMMANDS.register("lineage")
def add_lineage(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser(
        "lineage",
        parents=[shared],
        help="what one thing came from, and what was made from it",
    )
    one = parser.add_mutually_exclusive_group(required=True)
    one.add_argument("model", nargs="?", help="the name of a model")
    one.add_argument("--run", type=number, help="the number of a run")
    one.add_argument("--dataset", metavar="NAME@NUMBER")
    one.add_argument("--template", metavar="NAME@NUMBER")
    one.add_argument("--campaign", metavar="NAME", help="its number or name")
    parser.add_argument("--limit", type=number, help="the largest number of steps in each direction")
    parser.set_defaults(command=_lineage)


@with_lab
def _backup(lab: "Lab", options: argparse.Namespace) -> None:
    _print(lab.backup(options.path), options.json)


@with_lab
def _create(lab: "Lab", options: argparse.Namespace) -> None:
    stored = lab.backups.create()
    return print_json(stored) if options.json else print(f"{stored.path}: {stored.bytes / 1e6:,.1f} MB.")


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    backups = lab.backups.list()
    if options.json:
        return print_json(backups)
    for stored in backups:
        print(f"{stored.created_at:%Y-%m-%d %H:%M} UTC  {stored.bytes / 1e6:>10,.1f} MB  {stored.path}")
    if not backups:
        print("No backups; backups create makes one.")
    return None


@with_lab
def _delete(lab: "Lab", options: argparse.Namespace) -> None:
    lab.backups.delete(options.name)
    return print_json({"deleted": options.name}) if options.json else print(f"{options.name} is deleted.")


@with_lab
def _print_restore_commands(lab: "Lab", options: argparse.Namespace) -> None:
    commands = list(lab.backups.restore_commands(options.name))
    return print_json(commands) if options.json else print("\n".join(["# Stop the app first.", *commands]))


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
    lineage = lab.lineage(
        options.model,
        run=options.run,
        dataset=options.dataset,
        template=options.template,
        campaign=options.campaign,
        limit=options.limit,
    )
    if options.json:
        return print_json(lineage)
    print(lineage)
    return None
