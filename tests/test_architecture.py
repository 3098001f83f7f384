"""Which room may import which (docs/design.md draws the same arrows), and how files and names are kept readable."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("genai_lab", "pages", "storage")
JOINERS = {"services", "api", "web", "context.py", "bootstrap.py", "__main__.py", "cli", "worker.py", "__pycache__"}
ENGINE = sorted(f"genai_lab/{path.name}" for path in (ROOT / "genai_lab").iterdir() if path.name not in JOINERS)
WALLS = {
    "storage": {"genai_lab", "pages", "gradio", "torch", "transformers"},
    "genai_lab": {"pages", "gradio", "app"},
    "genai_lab/web": {"pages", "gradio", "torch", "transformers", "storage", "sqlalchemy"},
    "pages": {"storage", "torch", "transformers", "sqlalchemy"},
    "app.py": {"storage", "torch", "transformers", "sqlalchemy"},
} | {
    room: {"storage", "sqlalchemy", "genai_lab.services", "genai_lab.context", "genai_lab.bootstrap"} for room in ENGINE
}
# What the command line does not need to read its arguments.
SLOW = {"numpy", "pandas", "sqlalchemy", "alembic", "httpx", "jinja2", "pyarrow", "gradio"}
HEAVY = {"torch", "transformers", "peft", "sklearn", "evaluate", "trl"}
# Names that say nothing about the thing that they are given to, and their largest share of all names.
VAGUE = {
    "apart", "asked", "begun", "chosen", "done", "drawn", "found", "given", "goal", "held", "kept", "known",
    "left", "made", "more", "one", "own", "place", "rest", "said", "seen", "shown", "taken", "told", "wanted",
    "way", "whole", "words",
}  # fmt: skip
VAGUE_SHARE = 0.01
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
LONG_FUNCTIONS = {"tests/models/servers.py:handler"}


def modules(room: str) -> list[Path]:
    folder = ROOT / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", WALLS)
def test_room_keeps_its_walls(room: str) -> None:
    for path in modules(room):
        names = set(imported(list(ast.walk(ast.parse(path.read_text())))))
        crossed = {name for name in names for wall in WALLS[room] if f"{name}.".startswith(f"{wall}.")}
        assert not crossed, f"{path.relative_to(ROOT)} imports {sorted(crossed)}"


def test_nothing_heavy_is_imported_by_small_commands_and_when_the_app_starts(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = f"""
import sys, genai_lab.cli
genai_lab.cli.parser()
print(sorted(set(sys.modules) & {HEAVY | SLOW!r}))
genai_lab.cli.main(["jobs", "list", "--home", {str(tmp_path / "home")!r}])
print(sorted(set(sys.modules) & {HEAVY | {"pandas"}!r}))
import app
print(sorted(set(sys.modules) & {HEAVY!r}))
"""
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines() == ["[]", "No jobs.", "[]", "[]"]


def test_files_and_functions_stay_short_enough_to_read() -> None:
    files, functions = set(), set()
    for path in (path for room in ("genai_lab", "storage", "pages", "tests", "benchmarks") for path in modules(room)):
        name, text = str(path.relative_to(ROOT)), path.read_text()
        if len(text.splitlines()) > LONGEST_FILE:
            files.add(name)
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(text)):
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION:
                functions.add(f"{name}:{node.name}")
    assert not files
    assert functions <= LONG_FUNCTIONS


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def product() -> dict[str, Path]:
    return {module_name(path): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}


def imports_of(tree: ast.Module, modules_by_name: dict[str, Path]) -> set[str]:
    """The modules of the product that are imported anywhere in the file: within functions and for types too."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in modules_by_name else str(node.module))
    return names & modules_by_name.keys()


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            component = [stack.pop()]
            while component[-1] != module:
                component.append(stack.pop())
            if len(component) > 1:
                components.append(sorted(component))

    for module in graph:
        if module not in index:
            visit(module)
    return components


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set()}
    assert circles(graph) == [["a", "b", "c"]]


def test_there_are_no_import_circles() -> None:
    modules_by_name = product()
    graph = {
        name: imports_of(ast.parse(path.read_text()), modules_by_name) - {name}
        for name, path in modules_by_name.items()
    }
    assert sum(map(len, graph.values())) > 500
    assert not circles(graph)


def defines_something(tree: ast.Module) -> bool:
    """Whether a file holds more than a docstring, imports, `__all__`, `__version__` and a `__getattr__` that imports
    on demand.
    """
    for node in tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_listing = isinstance(node, ast.Assign) and all(
            isinstance(target, ast.Name) and target.id in ("__all__", "__version__") for target in node.targets
        )
        is_import = isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        is_lazy = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
        if not (is_docstring or is_listing or is_import or is_lazy):
            return True
    return False


@pytest.mark.parametrize("room", ROOMS)
def test_packages_only_re_export(room: str) -> None:
    code = {
        name
        for name, path in product().items()
        if path.name == "__init__.py" and name.split(".")[0] == room and defines_something(ast.parse(path.read_text()))
    }
    assert not code, "move the code of these packages into modules"


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Every name that the file gives to a variable, parameter, function, class, attribute or import."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name


def test_bound_names_are_found() -> None:
    source = "import a as b\nclass C:\n    def d(self, e): self.f = g = e\ntry: pass\nexcept OSError as h: pass"
    assert sorted(bound_names(ast.parse(source))) == ["C", "b", "d", "e", "f", "g", "h", "self"]


def test_names_say_what_things_are() -> None:
    paths = [*product().values(), *modules("tests"), *modules("benchmarks")]
    names = [name for path in paths for name in bound_names(ast.parse(path.read_text()))]
    vague = Counter(name for name in names if name in VAGUE)
    assert vague.total() / len(names) < VAGUE_SHARE, vague.most_common()
