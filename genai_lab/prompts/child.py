"""The process that fills untrusted templates. It is run as a script (`python -I`) and imports nothing of the lab.

Requests and replies are framed as in `genai_lab/child_process.py`, whose other side it is. What is wrong with a
template comes back as a problem in words; what it does to the process (memory, time) ends the process.
"""

import difflib
import json
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

TEXT_LIMIT = 50_000
CHAT_TEXT_LIMIT = 500_000
OUTPUT_LIMIT = 1_000_000
MEMORY_LIMIT = 384 * 2**20
BACKSTOP_SECONDS = 15.0
FOREIGN = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Problem(Exception):
    """What is wrong with a template: `part` is its name, `row` the place in the request where one is to blame."""

    def __init__(self, message: str, part: str = "", row: int | None = None) -> None:
        super().__init__(message)
        self.message, self.part, self.row = message, part, row


@lru_cache(maxsize=1)
def environment() -> ImmutableSandboxedEnvironment:
    """Jinja2's immutable sandbox: no loader, strict about what is missing, nothing that draws by chance."""
    sandbox = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    sandbox.globals = {name: sandbox.globals[name] for name in ("range", "namespace", "joiner")}
    sandbox.filters.pop("random")
    return sandbox


def slots_of(part: str, text: str) -> list[str]:
    """The names that the text wants filled, sorted; raises Problem for a text that can never be filled."""
    if len(text) > TEXT_LIMIT:
        raise Problem(f"has {len(text):,} characters, but at most {TEXT_LIMIT:,} are allowed; shorten it", part)
    try:
        return sorted(_names(part, text))
    except TemplateSyntaxError as problem:
        raise Problem(f"cannot be read at line {problem.lineno}: {_clipped(problem.message or '')}", part) from None
    except RecursionError:
        raise Problem("is nested too deeply; simplify it", part) from None
    except ValueError as problem:  # a number of too many digits
        raise Problem(f"cannot be read: {_clipped(str(problem))}", part) from None


def _names(part: str, text: str) -> set[str]:
    sandbox = environment()
    tree = sandbox.parse(text)
    for node in tree.find_all(FOREIGN):
        raise Problem(f"takes in another template at line {node.lineno}; write the text here instead", part)
    _check_names(part, tree.find_all(nodes.Filter), "filter", sandbox.filters)
    _check_names(part, tree.find_all(nodes.Test), "test", sandbox.tests)
    return meta.find_undeclared_variables(tree) - set(sandbox.globals)


class GenerationTag(Extension):
    """`{% generation %}` marks what the assistant says, for training; the text in it is written as it is."""

    tags = {"generation"}  # noqa: RUF012 - Jinja2 reads it from the class

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller: Callable[[], str]) -> str:
        return caller()


class ChatNamespace(Namespace):
    """Jinja2's namespace without names that begin with an underscore; a value of it may be called self."""

    def __init__(*args: Any, **values: Any) -> None:
        self, names = args[0], dict(*args[1:], **values)
        for name in names:
            _check_attribute(name)
        Namespace.__init__(self, names)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_attribute(name)
        super().__setitem__(name, value)


def _check_attribute(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace cannot hold {name!r}")


class Dictionary:
    """What `dict` is in a chat template: the call and `fromkeys`, not the type."""

    def __call__(self, *args: Any, **values: Any) -> dict[Any, Any]:
        return dict(*args, **values)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


@lru_cache(maxsize=1)
def chat_environment() -> ImmutableSandboxedEnvironment:
    """What transformers gives to the chat templates of models: lenient, with a few names of its own."""
    sandbox = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, "jinja2.ext.loopcontrols"]
    )
    sandbox.filters["tojson"] = _to_json
    sandbox.globals |= {"raise_exception": _refuse, "dict": Dictionary(), "namespace": ChatNamespace}
    return sandbox


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Unlike Jinja2's own it escapes no HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: Any) -> None:
    raise JinjaError(str(message))


def _chat(request: dict[str, Any]) -> dict[str, Any]:
    """The messages in a model's chat template; `now` is the local time of whoever asks, in ISO form."""
    now = datetime.fromisoformat(request["now"])
    template = _chat_template(request["template"])
    values = {**request["values"], "strftime_now": now.strftime}
    try:
        return {"text": _one("", template, values)}
    except Problem as problem:
        # The one thing that a template says itself is why it refuses the messages.
        problem.message = problem.message.removeprefix("fails: ")
        raise


@lru_cache(maxsize=16)
def _chat_template(text: str) -> Template:
    if len(text) > CHAT_TEXT_LIMIT:
        raise Problem(f"has {len(text):,} characters, but at most {CHAT_TEXT_LIMIT:,} are allowed")
    try:
        return chat_environment().from_string(text)
    except TemplateSyntaxError as problem:
        raise Problem(f"cannot be read at line {problem.lineno}: {_clipped(problem.message or '')}", "syntax") from None
    except (RecursionError, SyntaxError, ValueError):
        raise Problem("is nested too deeply", "syntax") from None


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """{"slots": {part: names}} for op "slots", the filled texts for op "fill", {"text"} for op "chat"; else
    {"problem", "part", "row"}.
    """
    try:
        if request["op"] == "chat":
            return _chat(request)
        if request["op"] == "slots":
            return {"slots": {part: slots_of(part, text) for part, text in request["parts"].items()}}
        return _fill_all(request)
    except Problem as problem:
        return {"problem": problem.message, "part": problem.part, "row": problem.row}
    except MemoryError:
        return {"problem": f"needs more than {MEMORY_LIMIT // 2**20} MB of memory; simplify it", "ended": True}


def _fill_all(request: dict[str, Any]) -> dict[str, Any]:
    parts, chat = request["parts"], request["chat"]
    templates = {part: _compiled(part, text) for part, text in parts.items()}
    return {
        "shots": list(_filled("shot", templates, request["shots"])),
        "asked": [_one("instruction", templates["instruction"], values) for values in request["shots"]] if chat else [],
        "systems": list(_filled("system", templates, request["rows"])),
        "instructions": list(_filled("instruction", templates, request["rows"])),
    }


def _filled(part: str, templates: Mapping[str, Template], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for index, values in enumerate(rows):
        try:
            yield _one(part, templates[part], values)
        except Problem as problem:
            problem.row = index
            raise


def _one(part: str, template: Template, values: dict[str, Any]) -> str:
    pieces, size = [], 0
    try:
        for piece in template.generate(values):
            size += len(piece)
            if size > OUTPUT_LIMIT:
                raise Problem(f"writes more than {OUTPUT_LIMIT:,} characters; shorten it", part)
            pieces.append(piece)
    except (Problem, MemoryError):
        raise
    except UndefinedError as problem:
        raise Problem(f"asks for what is not there: {_clipped(str(problem))}", part) from None
    except SecurityError as problem:
        raise Problem(f"reaches for what a template must not touch: {_clipped(str(problem))}", part) from None
    except RecursionError:
        raise Problem("calls itself without an end; take the recursion out", part) from None
    except Exception as problem:
        raise Problem(f"fails: {_clipped(str(problem)) or type(problem).__name__}", part) from None
    return "".join(pieces)


@lru_cache(maxsize=64)
def _compiled(part: str, text: str) -> Template:
    slots_of(part, text)
    try:
        return environment().from_string(text)
    except (RecursionError, SyntaxError):
        raise Problem("is nested too deeply; simplify it", part) from None


def _check_names(part: str, used_nodes: Iterable[Any], noun: str, known_names: Mapping[str, Any]) -> None:
    for node in used_nodes:
        if node.name not in known_names:
            near = difflib.get_close_matches(node.name, list(known_names), 1)
            hint = f"did you mean {near[0]!r}?" if near else "take it out"
            raise Problem(f"uses the {noun} {node.name[:60]!r} at line {node.lineno}, which there is not; {hint}", part)


def _clipped(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= 200 else f"{line[:200]}…"


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    head = stream.read(4)
    return json.loads(stream.read(struct.unpack(">I", head)[0])) if len(head) == 4 else None


def send(stream: BinaryIO, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def limit() -> None:
    """Bounds memory, files and processes; where a system does not know one of these limits, the others stand."""
    for what, most in ((resource.RLIMIT_AS, MEMORY_LIMIT), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):
            continue


def main() -> None:
    limit()
    send(sys.stdout.buffer, {"ready": True})
    while (request := receive(sys.stdin.buffer)) is not None:
        # Ends a process whose parent is gone and cannot: the default action of SIGALRM interrupts even C code.
        signal.setitimer(signal.ITIMER_REAL, BACKSTOP_SECONDS)
        reply = answer(request)
        try:
            send(sys.stdout.buffer, reply)
        except MemoryError:
            reply = {"problem": f"needs more than {MEMORY_LIMIT // 2**20} MB of memory; simplify it", "ended": True}
            send(sys.stdout.buffer, reply)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if reply.get("ended"):
            return


if __name__ == "__main__":
    main()
