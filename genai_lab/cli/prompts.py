"""`prompts templates list|add|show|diff|tag|untag|copy|archive|restore|fill`; what else is in `prompts`: `matrices`."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.cli import matrices
from genai_lab.cli.base import COMMANDS, SELECTORS, Command, Parser, Parsers, integer, print_json, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab

LARGEST_FILE = 1_000_000


@COMMANDS.register("prompts")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    group = groups.add_parser("prompts", help="templates and the matrix: add, show, fill, run")
    commands = group.add_subparsers(required=True, metavar="COMMAND")
    _templates(commands.add_parser("templates", help="templates and their versions"), shared)
    matrices.add(commands, shared)


def _templates(parser: Parser, shared: Parser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, text: str, run: Command) -> Parser:
        made = verbs.add_parser(name, parents=[shared], help=text)
        made.set_defaults(command=run)
        return made

    listing = verb("list", "the newest version of every template", _list)
    listing.add_argument("--search", default="", help="words in name or task")
    listing.add_argument("--task", default="")
    listing.add_argument("--archived", action="store_true", help="archived ones instead")
    _add_options(verb("add", "save a template as the next version of NAME", _add))
    one = verb("show", "one version: NAME, NAME@2 or NAME@TAG", _show)
    one.add_argument("name")
    one.add_argument("--versions", action="store_true", help="list all its versions instead")
    two = verb("diff", "what changed from one version to another", _diff)
    two.add_argument("name", metavar="OLD")
    two.add_argument("other", metavar="NEW")
    tag = verb("tag", "put a tag on a version; it leaves the one that had it", _tag)
    tag.add_argument("name", metavar="NAME@NUMBER")
    tag.add_argument("tag")
    untag = verb("untag", "take a tag away from the version that has it", _untag)
    untag.add_argument("name")
    untag.add_argument("tag")
    copy = verb("copy", "a version as the first one of a new template", _copy)
    copy.add_argument("name", help="NAME, NAME@2 or NAME@TAG")
    copy.add_argument("new_name", metavar="NEW")
    verb("archive", "put a template away", _archive).add_argument("name")
    verb("restore", "bring it back", _restore).add_argument("name")
    _fill_options(verb("fill", "fill a template with a row, as a model would read it", _fill))


def _add_options(parser: Parser) -> None:
    parser.add_argument("name")
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="YAML or JSON with the parts, or a text that is the instruction; - reads standard input",
    )
    for part in ("system", "instruction", "shot"):
        parser.add_argument(f"--{part}", help=f"the {part}, in place of the file's")
    parser.add_argument("--separator", help="between the parts of a plain prompt; \\n is a line break")
    parser.add_argument("--task", default="", help="such as classify; kept with a new template")
    parser.add_argument("--message", default="", help="what is new in this version")
    parser.add_argument("--tag", default="", help="a tag for this version")


def _fill_options(parser: Parser) -> None:
    parser.add_argument("name")
    parser.add_argument("--dataset", required=True, help="a dataset (NAME or NAME@2) or sample:TASK")
    parser.add_argument("--row", type=integer, default=1, help="row of the evaluated part, from 1 (default: 1)")
    parser.add_argument("--shots", type=integer, default=0, help="solved examples (default: 0)")
    parser.add_argument("--selector", choices=SELECTORS, default="random", help="how they are chosen")
    matrices.embedding_options(parser)
    parser.add_argument("--fixed", default="", metavar="ROWS", help="row numbers from 1, for --selector fixed: 3,8")
    parser.add_argument("--seed", type=integer, default=0)
    parser.add_argument("--model", help="counts its tokens, and leaves out shots that do not fit")
    parser.add_argument("--max-new-tokens", type=integer, default=64, help="kept free in the context (default: 64)")


@with_lab
def _list(lab: "Lab", options: argparse.Namespace) -> None:
    views = lab.templates.list(options.search, task=options.task, archived=options.archived)
    if options.json:
        return print_json(views)
    for view in views:
        print(f"{view.name:32} {view.task:10} slots: {', '.join(view.slots) or '-':20} {' '.join(view.tags)}".rstrip())


@with_lab
def _add(lab: "Lab", options: argparse.Namespace) -> None:
    parts = _read(options.file) if options.file else {}
    for name in ("system", "instruction", "shot", "separator"):
        if getattr(options, name) is not None:
            parts[name] = getattr(options, name)
    if options.separator is not None:
        parts["separator"] = options.separator.replace("\\n", "\n").replace("\\t", "\t")
    view = lab.templates.save(options.name, task=options.task, message=options.message, **parts)
    if options.tag:
        view = lab.templates.tag(view.template, view.number, options.tag)
    print_json(view) if options.json else print(f"Saved as {view.name}.")


@with_lab
def _show(lab: "Lab", options: argparse.Namespace) -> None:
    if options.versions:
        views = lab.templates.versions(options.name)
        if options.json:
            return print_json(views)
        for view in views:
            print(f"@{view.number:<4} {view.created_at:%Y-%m-%d %H:%M} {' '.join(view.tags):12} {view.message}")
        return None
    view = lab.templates.get(options.name)
    if options.json:
        return print_json(view)
    print(f"{view.name}, task {view.task or '-'}, slots: {', '.join(view.slots) or '-'}")
    for part, text in view.value.as_dict().items():
        shown = json.dumps(text) if part == "separator" else text
        print(f"--- {part}\n{shown}" if shown else f"--- {part} (empty)")
    return None


@with_lab
def _diff(lab: "Lab", options: argparse.Namespace) -> None:
    text = lab.templates.diff(options.name, options.other)
    if options.json:
        return print_json({"from": options.name, "to": options.other, "diff": text})
    print(text or "They are equal.")
    return None


@with_lab
def _tag(lab: "Lab", options: argparse.Namespace) -> None:
    name, _, number = options.name.partition("@")
    if not number.isdecimal():
        raise LabError(f"{options.name!r} names no version; write NAME@2 for the second.")
    view = lab.templates.tag(name, int(number), options.tag)
    print_json(view) if options.json else print(f"{view.name} has the tag {options.tag}.")


@with_lab
def _untag(lab: "Lab", options: argparse.Namespace) -> None:
    lab.templates.untag(options.name, options.tag)
    print_json({"template": options.name, "untagged": options.tag}) if options.json else print(
        f"No version of {options.name} has the tag {options.tag} any more."
    )


@with_lab
def _copy(lab: "Lab", options: argparse.Namespace) -> None:
    view = lab.templates.copy(options.name, options.new_name)
    print_json(view) if options.json else print(f"Saved as {view.name}.")


@with_lab
def _archive(lab: "Lab", options: argparse.Namespace) -> None:
    lab.templates.archive(options.name)
    print_json({"archived": options.name}) if options.json else print(f"Archived {options.name}.")


@with_lab
def _restore(lab: "Lab", options: argparse.Namespace) -> None:
    lab.templates.restore(options.name)
    print_json({"restored": options.name}) if options.json else print(f"Restored {options.name}.")


@with_lab
def _fill(lab: "Lab", options: argparse.Namespace) -> None:
    from genai_lab.prompts.few_shot import ShotSettings
    from genai_lab.services import models, prompting

    view, rows = lab.templates.get(options.name), prompting.rows_of(lab.context, options.dataset)
    if not 1 <= options.row <= rows.count:
        raise LabError(
            f"{rows.name} has {rows.count:,} rows in its part {rows.split}, so there is no row {options.row}."
        )
    keys = prompting.keys_of(options.fixed)
    shots = ShotSettings(options.selector, options.shots, options.seed, keys, options.embedder, options.diversity)
    chat = bool(options.model) and prompting.mode_of(models.show(lab.context, options.model).card) == "chat"
    made = prompting.preview(view.value, rows, options.row - 1, chat=chat, shots=shots)
    rendered, tokens, k = made.rendered, None, options.shots
    if options.model:
        fitted = prompting.measure_prompts(lab.context, made, options.model, options.max_new_tokens)
        rendered, tokens, k = fitted.rendered, fitted.tokens, fitted.k
    if options.json:
        return print_json(
            {
                "template": view.name,
                "row": made.example.key + 1,
                "shot_rows": [shot.key + 1 for shot in made.shown[:k]],
                "shots": {"wanted": options.shots, "fit": k},
                "text": rendered.text,
                "messages": list(rendered.messages),
                "tokens": tokens,
            }
        )
    print("\n".join(f"[{one['role']}] {one['content']}" for one in rendered.messages) or rendered.text)
    if k < options.shots:
        print(f"{k} of {options.shots} shots fit; the others are left out.", file=sys.stderr)
    return None


def _read(file: str) -> dict[str, Any]:
    """The parts in a file: a mapping in YAML or JSON, else the whole text as the instruction."""
    try:
        raw = sys.stdin.buffer.read(LARGEST_FILE + 1) if file == "-" else Path(file).read_bytes()
        text = raw.decode()
    except OSError as problem:
        raise LabError(f"{file} cannot be read ({problem.strerror}); give the path of a text file.") from None
    except UnicodeDecodeError:
        raise LabError(f"{file} is not a text in UTF-8; save it as one.") from None
    if len(raw) > LARGEST_FILE:
        raise LabError(f"{file} has more than {LARGEST_FILE:,} bytes, which is too long for a template.")
    fields = _mapping(file, text)
    parts: Any = {"instruction": text.removesuffix("\n")}
    if fields is not None:
        parts = fields.get("value") or fields.get("parts") or fields
    if not isinstance(parts, dict):
        raise LabError(f"{file} holds no parts; give at least an instruction.")
    return dict(parts)


def _mapping(file: str, text: str) -> dict[str, Any] | None:
    import yaml

    named = file.lower().endswith((".yaml", ".yml", ".json"))
    try:
        found = yaml.safe_load(text) if named else json.loads(text)
    except (yaml.YAMLError, ValueError) as problem:
        if named:
            raise LabError(f"{file} cannot be read: {' '.join(str(problem).split())[:200]}.") from None
        return None
    if not isinstance(found, dict):
        if named:
            raise LabError(f"{file} holds no parts; write 'instruction: ...' and so on.")
        return None
    return found
