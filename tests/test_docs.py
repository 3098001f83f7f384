"""What the documents say of the repository is true of it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"(tests/[\w/.]+\.(?:py|js))?::(\w+)|(tests/[\w/]+\.(?:py|js))")


def named_tests(row: str) -> list[tuple[str, str]]:
    """(file, test) of each test that a row names; a name without a file belongs to the file before it."""
    named, file = [], ""
    for match in NAMED.finditer(row):
        file = match[1] or match[3] or file
        named.append((file, match[2] or ""))
    return named


def test_every_row_of_what_was_tried_names_tests_that_exist() -> None:
    lines = (ROOT / "docs/tried.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|") and not line.startswith(("|---", "| source"))]
    assert len(rows) > 100
    wrong = [row for row in rows if row.count("|") != 5 or not named_tests(row.split("|")[4])]
    names: dict[str, set[str]] = {}
    for row in rows:
        for file, test in named_tests(row.split("|")[4]):
            if file not in names:
                path = ROOT / file
                tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
                names[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            if not (ROOT / file).is_file() or (test and test not in names[file]):
                wrong.append(row)
    assert not wrong, "\n".join(wrong)
