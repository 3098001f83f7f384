"""What all commands share: the parser, its types of options, opening the lab, printing.

Each module of a group registers a function in `COMMANDS` that gets argparse's subparsers and the options that all
commands share (`--json`, `--home`); a command is set with `set_defaults(command=...)`.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from genai_lab.config import Config
from genai_lab.errors import LabError
from genai_lab.registry import Registry
from genai_lab.views import to_plain

if TYPE_CHECKING:
    from genai_lab.api import Lab


class Parser(argparse.ArgumentParser):
    """Bad input is one sentence on standard error and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


LARGEST = 2**31 - 1
UNFORESEEN = "The command failed in a way that was not foreseen"
# As the services and the prompts have them, whose import takes longer than parsing may.
STATUSES = ("queued", "running", "finished", "cancelled", "failed")
SELECTORS = ("balanced", "diverse", "embedding", "first", "fixed", "random", "similar")
Parsers = argparse._SubParsersAction
Command = Callable[[argparse.Namespace], int | None]
COMMANDS: Registry[Callable[["Parsers[Parser]", Parser], None]] = Registry("command", "genai_lab.cli")


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its number; it must not end the command.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        _check_text(words)
        options = parser().parse_args(words)
        return int(options.command(options) or 0)
    except LabError as problem:
        return _refused(str(problem))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads has gone, as head does; closing standard output must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as problem:
        name = f"{problem.filename} " if problem.filename else "A file "
        return _refused(f"{name}cannot be used ({problem.strerror or problem}); choose another or repair it.")
    except Exception as problem:
        if os.environ.get("GENAI_LAB_TRACEBACK"):
            raise
        reason = " ".join(str(problem).split())[:200]
        _refused(f"{UNFORESEEN} ({type(problem).__name__}: {reason}); GENAI_LAB_TRACEBACK=1 shows where.")
        return 1


def _refused(sentence: str) -> int:
    print(f"genai_lab: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


def _check_text(arguments: Sequence[str]) -> None:
    """Raises LabError for an argument that is not text: nothing could show, keep or send it.

    An option's value `--` is refused too, of which argparse makes an empty list.
    """
    for position, text in enumerate(arguments, 1):
        if text.startswith("-") and text.endswith("=--"):
            raise LabError(f"{text[:-3][:100]} has no value; write one after the equals sign.")
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise LabError(f"Argument {position} holds bytes that are not UTF-8 text; type it again.")


def folder(text: str) -> Path:
    """An empty name would mean the current folder, which a shell's unset variable makes of it."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return Path(text)


def number(text: str) -> int:
    """The number of a run, job or demo, or how many of them; what is larger than any is refused here."""
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from 0 to 999,999,999")
    return int(text)


def integer(text: str) -> int:
    """A whole number that everything behind can hold."""
    try:
        value = int(text)
    except ValueError:
        value = LARGEST + 1
    if abs(value) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from -{LARGEST:,} to {LARGEST:,}")
    return value


def real(text: str) -> float:
    """A number that is neither infinite nor none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number")
    return value


def parser() -> Parser:
    installed = Path(sys.argv[0]).name == "genai-lab"
    return _parser_of("genai-lab" if installed else "python -m genai_lab", tuple(COMMANDS))


@cache
def _parser_of(prog: str, names: tuple[str, ...]) -> Parser:
    """Built once: whoever calls many commands in one process would spend most of the time on this."""
    shared = Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print only JSON; progress goes to standard error")
    shared.add_argument("--home", type=folder, help="data home (default: lab_data, or GENAI_LAB_HOME)")
    root = Parser(prog=prog, description="The lab without its pages.")
    groups = root.add_subparsers(required=True, metavar="COMMAND")
    for name in names:
        COMMANDS.get(name)(groups, shared)
    return root


def with_lab(run: "Callable[[Lab, argparse.Namespace], int | None]") -> Command:
    """A command from a function of (lab, options), which may return an exit code: opens the lab and closes it."""

    def command(options: argparse.Namespace) -> int:
        from genai_lab import bootstrap
        from genai_lab.api import Lab

        with Lab(bootstrap.open_lab(Config.from_environment(home=options.home))) as lab:
            return run(lab, options) or 0

    return command


def several(parser: Parser, name: str, help: str, *, kind: Callable[[str], Any] = str, **options: Any) -> None:
    """An option that may be repeated, such as `--model a --model b`; `--models a,b` means the same."""

    def read(text: str) -> list[Any]:
        values = [part.strip() for part in text.split(",")]
        return [kind(value) for value in values if value or len(values) == 1]

    read.__name__ = "value"
    flags = [name, *options.pop("aliases", (f"{name}s",))]
    parser.add_argument(*flags, action="extend", type=read, help=f"{help}; may be repeated", **options)


def text_of(path: Path, what: str) -> str:
    """The text of a file that an option names; raises LabError."""
    try:
        if path.is_dir():
            raise LabError(f"{path} is a folder; name the file within it that holds the {what}.")
        if not path.exists():
            raise LabError(f"There is no file {path} to read the {what} from; name one that is there.")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        byte = f"0x{problem.object[problem.start]:02x}"
        raise LabError(f"The file {path} is not UTF-8 text (it holds the byte {byte}); save it as UTF-8.") from None
    except OSError as problem:
        raise LabError(f"The file {path} cannot be read ({problem.strerror}); look at its permissions.") from None


def print_json(value: Any) -> None:
    """Standard output is this JSON alone; views and the API's objects print their `as_dict()`."""
    print(json.dumps(to_plain(value), ensure_ascii=False, indent=2, allow_nan=False))


def wait(lab: "Lab", job: int | None) -> None:
    """Stays until the job has finished, and tells on standard error how far it is; raises LabError."""
    if job is not None:
        lab.jobs.wait(job, progress=True)


def progress(text: str) -> None:
    """One line to standard error, so that standard output stays with the result."""
    print(text, file=sys.stderr, flush=True)
