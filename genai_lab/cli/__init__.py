"""Command line: `python -m genai_lab`. Everything that a page can start, without the page.

One module a group of commands. Each registers a function in `COMMANDS` that gets argparse's subparsers and the
options that all commands share (`--json`, `--home`); a command is set with `set_defaults(command=...)`.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from genai_lab.config import Config
from genai_lab.errors import LabError
from genai_lab.registry import Registry


class Parser(argparse.ArgumentParser):
    """Bad input is one sentence on standard error and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


Parsers = argparse._SubParsersAction
Command = Callable[[argparse.Namespace], int | None]
COMMANDS: Registry[Callable[["Parsers[Parser]", Parser], None]] = Registry("command", __name__)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except LabError as problem:
        print(f"genai_lab: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads has gone, as head does; closing standard output must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def folder(text: str) -> Path:
    """An empty name would mean the current folder, which a shell's unset variable makes of it."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return Path(text)


def number(text: str) -> int:
    """The number of a run, job or demo, or how many of them; what is larger than any is refused here."""
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from 0 to 999,999,999")
    return int(text)


def parser() -> Parser:
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print JSON alone; progress goes to standard error")
    shared.add_argument("--home", type=folder, help="data home (default: lab_data, or GENAI_LAB_HOME)")
    whole = Parser(prog="python -m genai_lab", description="The lab without its pages.")
    parts = whole.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        COMMANDS.get(name)(parts, shared)
    return whole


def with_lab(run: Callable[[Any, argparse.Namespace], int | None]) -> Command:
    """A command from a function of (lab, options), which may give an exit code: opens the lab, and closes it."""

    def command(options: argparse.Namespace) -> int:
        from genai_lab.lab import Lab

        lab = Lab.open(Config.from_environment(home=options.home))
        try:
            return run(lab, options) or 0
        finally:
            lab.close()

    return command


def text_of(path: Path, what: str) -> str:
    """The text of a file that an option names; raises LabError."""
    if path.is_dir():
        raise LabError(f"{path} is a folder; name the file within it that holds the {what}.")
    if not path.exists():
        raise LabError(f"There is no file {path} to read the {what} from; name one that is there.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        byte = f"0x{problem.object[problem.start]:02x}"
        raise LabError(f"The file {path} is not UTF-8 text (it holds the byte {byte}); save it as UTF-8.") from None
    except OSError as problem:
        raise LabError(f"The file {path} cannot be read ({problem.strerror}); look at its permissions.") from None


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def progress(text: str) -> None:
    """One line to standard error, so that standard output stays with the result."""
    print(text, file=sys.stderr, flush=True)
