"""Which room may import which; docs/design.md draws the same arrows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
JOINERS = {"services", "web", "context.py", "bootstrap.py", "__main__.py", "cli", "worker.py", "__pycache__"}
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


def modules(room: str) -> list[Path]:
    place = ROOT / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


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
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "No jobs.", "[]", "[]"]


def test_files_stay_short_enough_to_read() -> None:
    code = [path for room in ("genai_lab", "storage", "pages", "tests", "benchmarks") for path in modules(room)]
    long = {str(path.relative_to(ROOT)): size for path in code if (size := len(path.read_text().splitlines())) > 420}
    assert not long
