"""`datasets import|list|show|export|archive`: tables of examples, imported once and never changed."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from genai_lab.cli.base import COMMANDS, Parser, Parsers, integer, number, print_json, progress, with_lab

if TYPE_CHECKING:
    from genai_lab.api import Lab
    from genai_lab.api.datasets import Dataset


@COMMANDS.register("datasets")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    from genai_lab.data import ROLES

    group = groups.add_parser("datasets", help="tables of examples: import, list, show, split, export, archive")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    importing = commands.add_parser(
        "import",
        parents=[shared],
        help="a file (CSV, TSV, JSON, JSON Lines, Parquet, text, or .gz), starter:TASK, or hub:OWNER/NAME",
    )
    importing.add_argument("file", metavar="FILE")
    importing.add_argument("--name", default="", help="default: the file's name")
    importing.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="ROLE=COLUMN",
        help=f"roles: {', '.join(ROLES)}, or other names that people use for them; default: guessed",
    )
    _split_options(importing, "auto")
    _reading_options(importing)
    importing.add_argument("--drop-bad", action="store_true", help="leave out rows that cannot be read")
    importing.add_argument("--configuration", default="", help="of a Hub dataset (default: its only one)")
    importing.add_argument("--hub-split", default="", help="of a Hub dataset (default: all, in a column 'split')")
    importing.add_argument("--revision", default="", help="of a Hub dataset: branch, tag or commit")
    when = importing.add_mutually_exclusive_group()
    when.add_argument("--wait", action="store_true", help="wait until the rows are imported (the default)")
    when.add_argument("--queue", action="store_true", help="queue a job and return; `jobs wait` waits for it")
    importing.set_defaults(command=_import)
    listing = commands.add_parser("list", parents=[shared], help="all versions, newest first")
    listing.add_argument("--search", default="")
    listing.add_argument("--archived", action="store_true", help="include archived ones")
    listing.set_defaults(command=_list)
    show = commands.add_parser("show", parents=[shared], help="one version: NAME or NAME@2")
    show.add_argument("name")
    show.add_argument("--rows", type=integer, default=3, help="first rows to print (default: 3)")
    show.add_argument("--profile", action="store_true", help="empty cells, labels, duplicates, overlap between splits")
    show.add_argument("--tokens", default="", metavar="MODEL", help="the profile with lengths in this model's tokens")
    show.set_defaults(command=_show)
    splitting = commands.add_parser("split", parents=[shared], help="the rows of a version in other splits")
    splitting.add_argument("name", help="NAME or NAME@2")
    _split_options(splitting, "ratio")
    splitting.set_defaults(command=_split)
    export = commands.add_parser("export", parents=[shared], help="all rows to a file")
    export.add_argument("name")
    export.add_argument("file", metavar="FILE")
    export.add_argument("--format", choices=["jsonl", "csv"], help="default: by the file's name")
    export.set_defaults(command=_export)
    _stuck_imports(commands, shared)
    for name, text in (("archive", "put a dataset away"), ("restore", "bring it back")):
        parser = commands.add_parser(name, parents=[shared], help=text)
        parser.add_argument("name")
        parser.set_defaults(command=_archive, archived=name == "archive")


def _stuck_imports(commands: "Parsers[Parser]", shared: Parser) -> None:
    stuck = commands.add_parser("stuck", parents=[shared], help="the queued import that ended at unreadable rows")
    stuck.set_defaults(command=_stuck)
    resolve = commands.add_parser("resolve", parents=[shared], help="what becomes of a stuck import")
    resolve.add_argument("job", type=number)
    choice = resolve.add_mutually_exclusive_group(required=True)
    choice.add_argument("--drop-bad", action="store_true", help="import again, without the rows that cannot be read")
    choice.add_argument("--give-up", action="store_true", help="forget the import and its file")
    resolve.set_defaults(command=_resolve)


def _reading_options(parser: Parser) -> None:
    """How a text file is to be read, where its content does not tell."""
    from genai_lab.data.sniffing import ENCODINGS

    parser.add_argument("--encoding", default="", help=f"of a text file, of: {', '.join(ENCODINGS)}")
    parser.add_argument("--separator", default="", help="between the cells of a CSV file (default: detected)")
    parser.add_argument(
        "--header",
        choices=["yes", "no"],
        default="",
        help="whether the first line names the columns (default: detected)",
    )
    parser.add_argument("--as-is", action="store_true", help="accept a file that is one column or one row")


def _split_options(parser: Parser, default: str) -> None:
    from genai_lab.data import SPLITS

    choices = ["auto", "ratio", "column", "group", "none"]
    parser.add_argument(
        "--split", choices=choices, help=f"default: {default}; auto is by a column of splits, else by ratio"
    )
    parser.add_argument("--ratios", default="0.8,0.1,0.1", help="train, validation, test (default: 0.8,0.1,0.1)")
    parser.add_argument("--split-column", default="", help="for --split column and group")
    parser.add_argument("--only", choices=SPLITS, default="", help="put all rows into this split")
    parser.add_argument("--seed", type=integer, default=0)
    parser.set_defaults(default_split=default)


@with_lab
def _split(lab: "Lab", options: argparse.Namespace) -> None:
    dataset = lab.datasets.get(options.name).split(**_split_settings(options))
    if options.json:
        return print_json(dataset)
    verb = "already exists as" if dataset.view.again else "kept as"
    return print(f"{len(dataset):,} rows {verb} {dataset.name}; splits: {_splits(dataset)}.")


def _split_settings(options: argparse.Namespace) -> dict[str, Any]:
    by = options.split or ("none" if options.only else options.default_split)
    return {
        "by": by,
        "ratios": _ratios(options.ratios),
        "column": options.split_column,
        "seed": options.seed,
        "only": options.only or "test",
    }


@with_lab
def _import(lab: "Lab", options: argparse.Namespace) -> None:
    from genai_lab.data.sniffing import NeedsChoice
    from genai_lab.errors import LabError

    try:
        _carry_out(lab, options)
    except NeedsChoice as problem:
        option = "--as-is" if problem.option == "as_is" else f"--{problem.option} {problem.value}"
        raise LabError(f"{problem} Add {option} if so.") from None


def _carry_out(lab: "Lab", options: argparse.Namespace) -> None:
    settings = _source_settings(options)
    if options.queue:
        job = lab.datasets.start_import(options.file, options.name, **settings)
        name = lab.jobs.get(job).settings["name"]
        print_json({"job": job}) if options.json else print(f"Job {job} imports {name}.")
        return
    dataset = lab.datasets.import_from(
        options.file, options.name, on_rows=lambda rows: progress(f"{rows:,} rows"), **settings
    )
    if options.json:
        print_json(dataset)
        return
    view = dataset.view
    verb = "already exists as" if view.again else "imported as"
    print(f"{view.rows:,} rows {verb} {view.name}; roles: {_roles(dataset)}; splits: {_splits(dataset)}.")
    for note in view.notes:
        print(f"note: {note}")
    for bad_row in view.left_out:
        print(f"left out: {bad_row}")
    if view.left_out_count > len(view.left_out):
        print(f"left out: {view.left_out_count - len(view.left_out):,} more")


def _source_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the options say of the source; raises LabError."""
    from genai_lab.api.datasets import split_plan

    return {
        "roles": mapping(options.map) if options.map else None,
        "split": split_plan(**_split_settings(options)),
        "drop_bad": options.drop_bad,
        "encoding": options.encoding,
        "separator": options.separator,
        "as_is": options.as_is,
        "header": options.header,
        "configuration": options.configuration,
        "hub_split": options.hub_split,
        "revision": options.revision,
        "starter_seed": options.seed or 1,
    }


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    datasets = lab.datasets.list(options.search, archived=options.archived)
    if options.json:
        print_json({"total": datasets.total, "versions": datasets})
        return
    for dataset in datasets:
        print(f"{dataset.name:<32} {len(dataset):>9,} rows  {_roles(dataset)}  {_splits(dataset)}")
    if not datasets:
        print("No datasets yet; import one with `datasets import FILE`.")


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    dataset = lab.datasets.get(options.name)
    if options.profile or options.tokens:
        dataset.profile(options.tokens)
        dataset = lab.datasets.get(dataset.id)
    rows = dataset.rows(limit=max(0, options.rows))
    if options.json:
        return print_json(dataset.as_dict() | {"first_rows": rows})
    print(dataset.title)
    for name, value in (dataset.view.profile or {}).items() if options.profile or options.tokens else ():
        print(f"  {name.replace('_', ' ')}: {json.dumps(value, ensure_ascii=False, default=str)}")
    for place, row in enumerate(rows, 1):
        print(f"row {place}")
        for name, value in row.items():
            print(f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return None


@with_lab
def _export(lab: "Lab", options: argparse.Namespace) -> None:
    dataset = lab.datasets.get(options.name)
    rows = dataset.export(options.file, options.format or "")
    print_json({"dataset": dataset.name, "rows": rows, "file": options.file}) if options.json else print(
        f"{rows:,} rows of {dataset.name} written to {options.file}."
    )


@with_lab
def _stuck(lab: "Lab", options: argparse.Namespace) -> None:
    view = lab.datasets.stuck()
    if options.json:
        return print_json(view)
    if view is None:
        return print("No import is stuck.")
    print(f"Job {view.job_id} imports {view.name}, in which {view.count:,} rows cannot be read:")
    for bad_row in view.rows:
        print(f"  {bad_row}")
    return None


@with_lab
def _resolve(lab: "Lab", options: argparse.Namespace) -> None:
    if options.give_up:
        lab.datasets.give_up(options.job)
        print_json({"given_up": options.job}) if options.json else print(
            f"The import of job {options.job} is given up."
        )
        return
    job = lab.datasets.without_bad(options.job)
    print_json({"job": job}) if options.json else print(f"Job {job} imports it without the rows that cannot be read.")


@with_lab
def _archive(lab: "Lab", options: argparse.Namespace) -> None:
    (lab.datasets.archive if options.archived else lab.datasets.restore)(options.name)
    state = "archived" if options.archived else "back"
    print_json({"dataset": options.name, "archived": options.archived}) if options.json else print(
        f"{options.name} is {state}."
    )


def mapping(pairs: list[str]) -> dict[str, list[str]]:
    """ROLE=COLUMN pairs as roles, also under names that others use; raises LabError for one without an equals sign."""
    from genai_lab.data.aliases import role_of
    from genai_lab.errors import LabError

    columns: dict[str, list[str]] = {}
    for pair in pairs:
        role, equals, column = pair.partition("=")
        if not equals or not role or not column:
            raise LabError(f"{pair!r} maps nothing; write ROLE=COLUMN, such as input=dialogue.")
        columns.setdefault(role_of(role), []).append(column)
    return columns


def _ratios(text: str) -> tuple[float, ...]:
    from genai_lab.errors import BadSetting

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadSetting("ratios", text, "three shares that add up to 1, such as 0.8,0.1,0.1") from None


def _roles(dataset: "Dataset") -> str:
    return ", ".join(f"{role}={'+'.join(names)}" for role, names in dataset.roles.items()) or "none"


def _splits(dataset: "Dataset") -> str:
    return ", ".join(f"{split} {count:,}" for split, count in dataset.splits.items())
