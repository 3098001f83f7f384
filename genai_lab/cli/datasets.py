"""`datasets import|list|show|export|archive`: tables of examples, imported once and never changed."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import COMMANDS, Parser, Parsers, integer, print_json, progress, with_lab

if TYPE_CHECKING:
    from genai_lab.context import LabContext


@COMMANDS.register("datasets")
def add(parts: "Parsers[Parser]", shared: Parser) -> None:
    from genai_lab.data import ROLES
    from genai_lab.data.sniffing import ENCODINGS

    group = parts.add_parser("datasets", help="tables of examples: import, list, show, split, export, archive")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    bring = commands.add_parser(
        "import",
        parents=[shared],
        help="a file (CSV, TSV, JSON, JSON Lines, Parquet, text, or .gz), starter:TASK, or hub:OWNER/NAME",
    )
    bring.add_argument("file", metavar="FILE")
    bring.add_argument("--name", default="", help="default: the file's name")
    bring.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="ROLE=COLUMN",
        help=f"roles: {', '.join(ROLES)}, or other names that people use for them; default: guessed",
    )
    _split_options(bring, "auto")
    bring.add_argument("--encoding", default="", help=f"of a text file, such as cp1252 (of: {', '.join(ENCODINGS)})")
    bring.add_argument("--separator", default="", help="between the cells of a CSV file (default: found)")
    bring.add_argument("--as-is", action="store_true", help="also where all of the file is one column or one row")
    bring.add_argument("--drop-bad", action="store_true", help="leave out rows that cannot be read")
    bring.add_argument("--configuration", default="", help="of a Hub dataset (default: its only one)")
    bring.add_argument("--hub-split", default="", help="of a Hub dataset (default: all, kept in the column 'split')")
    bring.add_argument("--revision", default="", help="of a Hub dataset: branch, tag or commit")
    when = bring.add_mutually_exclusive_group()
    when.add_argument("--wait", action="store_true", help="stay until the rows are in (the default)")
    when.add_argument("--queue", action="store_true", help="leave it to a job, which `jobs wait` waits for")
    bring.set_defaults(command=_import)
    listing = commands.add_parser("list", parents=[shared], help="all versions, newest first")
    listing.add_argument("--search", default="")
    listing.add_argument("--archived", action="store_true", help="also archived ones")
    listing.set_defaults(command=_list)
    one = commands.add_parser("show", parents=[shared], help="one version: NAME or NAME@2")
    one.add_argument("name")
    one.add_argument("--rows", type=integer, default=3, help="first rows to print (default: 3)")
    one.add_argument("--profile", action="store_true", help="empty cells, labels, duplicates, overlap between splits")
    one.add_argument("--tokens", default="", metavar="MODEL", help="the profile with lengths in this model's tokens")
    one.set_defaults(command=_show)
    again = commands.add_parser("split", parents=[shared], help="the rows of a version in other splits, as a new one")
    again.add_argument("name", help="NAME or NAME@2")
    _split_options(again, "ratio")
    again.set_defaults(command=_split)
    out = commands.add_parser("export", parents=[shared], help="all rows to a file")
    out.add_argument("name")
    out.add_argument("file", metavar="FILE")
    out.add_argument("--format", choices=["jsonl", "csv"], help="default: by the file's name")
    out.set_defaults(command=_export)
    for name, text in (("archive", "put a dataset away"), ("restore", "bring it back")):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("name")
        parser.set_defaults(command=_archive, archived=name == "archive")


def _split_options(parser: Parser, default: str) -> None:
    from genai_lab.data import SPLITS

    ways = ["auto", "ratio", "column", "group", "none"]
    parser.add_argument(
        "--split", choices=ways, help=f"default: {default}; auto is by a column of splits, else by ratio"
    )
    parser.add_argument("--ratios", default="0.8,0.1,0.1", help="train, validation, test (default: 0.8,0.1,0.1)")
    parser.add_argument("--split-column", default="", help="for --split column and group")
    parser.add_argument("--only", choices=SPLITS, default="", help="put all rows into this split")
    parser.add_argument("--seed", type=integer, default=0)
    parser.set_defaults(default_split=default)


def _plan(options: argparse.Namespace) -> Any:
    from genai_lab.data import SplitPlan

    by: Any = options.split or ("none" if options.only else options.default_split)
    return SplitPlan(by, _ratios(options.ratios), options.split_column, options.seed, options.only or "test")


@with_lab
def _split(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import datasets

    view = datasets.split_again(lab, options.name, _plan(options))
    if options.json:
        return print_json(as_dict(view))
    words = "is there already as" if view.again else "kept as"
    return print(f"{view.rows:,} rows {words} {view.name}; splits: {_splits(view)}.")


@with_lab
def _import(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.errors import LabError
    from genai_lab.services import datasets

    try:
        _carry_out(lab, options, _order(options))
    except datasets.NeedsChoice as problem:
        option = "--as-is" if problem.option == "as_is" else f"--{problem.option} {problem.value}"
        raise LabError(f"{problem} Add {option} if so.") from None


def _carry_out(lab: "LabContext", options: argparse.Namespace, order: Any) -> None:
    from genai_lab.services import datasets

    if options.queue:
        job = datasets.start(lab, order)
        print_json({"job": job}) if options.json else print(f"Job {job} imports {order.name}.")
        return
    view = datasets.make(lab, order, lambda rows: progress(f"{rows:,} rows"))
    if options.json:
        print_json(as_dict(view))
        return
    words = "is there already as" if view.again else "imported as"
    print(f"{view.rows:,} rows {words} {view.name}; roles: {_roles(view)}; splits: {_splits(view)}.")
    for note in view.notes:
        print(f"note: {note}")
    for bad in view.left_out:
        print(f"left out: {bad}")
    if view.left_out_count > len(view.left_out):
        print(f"left out: {view.left_out_count - len(view.left_out):,} more")


def _order(options: argparse.Namespace) -> Any:
    """What the options ask for; raises LabError."""
    from genai_lab.data.hub import Place
    from genai_lab.errors import LabError
    from genai_lab.services import datasets

    kind, _, rest = options.file.partition(":")
    if kind == "starter":
        return datasets.starter_order(rest, options.name, seed=options.seed or 1)
    roles = mapping(options.map) if options.map else None
    split = _plan(options)
    reading = datasets.FileOptions(_encoding(options.encoding), options.separator.replace("\\t", "\t"), options.as_is)
    if kind == "hub":
        place = Place(rest, options.configuration, options.hub_split, options.revision)
        name = options.name or rest.rpartition("/")[2]
        return datasets.hub_order(place, name, mapping=roles, split=split, drop_bad=options.drop_bad)
    path = Path(options.file)
    if not path.is_file():
        raise LabError(f"There is no file {options.file}; give the path of a table.")
    name = options.name or path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return datasets.file_order(
        path.resolve(), name, mapping=roles, split=split, drop_bad=options.drop_bad, options=reading
    )


def _encoding(name: str) -> str:
    """The lab's name of an encoding, for what others call it."""
    low = name.lower().replace("_", "-")
    known = {"utf8": "utf-8", "utf16": "utf-16", "windows-1252": "cp1252", "latin-1": "cp1252", "latin1": "cp1252"}
    return known.get(low, low)


@with_lab
def _list(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import datasets

    found, total = datasets.find(lab, options.search, 1000, 0, options.archived)
    if options.json:
        print_json({"total": total, "versions": [as_dict(view) for view in found]})
        return
    for view in found:
        print(f"{view.name:<32} {view.rows:>9,} rows  {_roles(view)}  {_splits(view)}")
    if not found:
        print("No datasets yet; import one with `datasets import FILE`.")


@with_lab
def _show(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import datasets

    view = datasets.show(lab, options.name)
    if options.profile or options.tokens:
        datasets.profile(lab, view.id, options.tokens)
        view = datasets.show(lab, view.id)
    rows = datasets.page(lab, view.id, 0, max(0, options.rows))
    if options.json:
        return print_json(as_dict(view) | {"first_rows": rows})
    print(f"{view.name}: {view.rows:,} rows; roles: {_roles(view)}; splits: {_splits(view)}")
    fields = as_dict(view)
    for name, value in (fields["profile"] or {}).items() if options.profile or options.tokens else ():
        print(f"  {name.replace('_', ' ')}: {json.dumps(value, ensure_ascii=False, default=str)}")
    for number, row in enumerate(rows, 1):
        print(f"row {number}")
        for name, value in row.items():
            print(f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return None


@with_lab
def _export(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.errors import LabError
    from genai_lab.services import datasets

    view, path = datasets.show(lab, options.name), Path(options.file)
    try:
        rows = datasets.export(lab, view.id, path, options.format or ("csv" if path.suffix == ".csv" else "jsonl"))
    except OSError as problem:
        raise LabError(f"{path} cannot be written ({problem.strerror}); choose another place.") from None
    print_json({"dataset": view.name, "rows": rows, "file": str(path)}) if options.json else print(
        f"{rows:,} rows of {view.name} written to {path}."
    )


@with_lab
def _archive(lab: "LabContext", options: argparse.Namespace) -> None:
    from genai_lab.services import datasets

    datasets.archive(lab, options.name, options.archived)
    words = "archived" if options.archived else "back"
    print_json({"dataset": options.name, "archived": options.archived}) if options.json else print(
        f"{options.name} is {words}."
    )


def mapping(pairs: list[str]) -> dict[str, list[str]]:
    """ROLE=COLUMN pairs as roles, also under names that others use; raises LabError for one without an equals sign."""
    from genai_lab.data.aliases import role_named
    from genai_lab.errors import LabError

    made: dict[str, list[str]] = {}
    for pair in pairs:
        role, found, column = pair.partition("=")
        if not found or not role or not column:
            raise LabError(f"{pair!r} maps nothing; write ROLE=COLUMN, such as input=dialogue.")
        made.setdefault(role_named(role), []).append(column)
    return made


def as_dict(view: Any) -> dict[str, Any]:
    made = dataclasses.asdict(view)
    made["created_at"] = view.created_at.isoformat()
    return {"name": view.name, **made}


def _ratios(text: str) -> Any:
    from genai_lab.errors import BadSetting

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadSetting("ratios", text, "three shares that add up to 1, such as 0.8,0.1,0.1") from None


def _roles(view: Any) -> str:
    return ", ".join(f"{role}={'+'.join(names)}" for role, names in view.roles.items()) or "none"


def _splits(view: Any) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in view.splits.items())
