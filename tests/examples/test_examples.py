"""Every script of `examples/` and every cell of its notebooks runs, on few rows and steps, jobs in this process."""

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from genai_lab.metrics import METRICS
from tests.inline_jobs import wait_inline

FOLDER = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "common")
NOTEBOOKS = sorted(FOLDER.glob("notebooks/*.ipynb"))
PRINTED = {
    "first_generation": "starter-causal",
    "few_shot_matrix": "classify-review-bare",
    "evaluate_two_models": "95 % interval",
    "finetune_with_lora": "good-or-bad",
    "campaign_to_reward_model": "ann",
    "preferences_and_lineage": "train run polite",
}


# What decodes only is run on models that answer at once; the others train a model of the lab.
FAKES: dict[str, dict[str, Any]] = {
    "first_generation": {"model": "fake"},
    "few_shot_matrix": {"model": "fake"},
    "evaluate_two_models": {"models": ("fake-seq2seq", "fake")},
}


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai_lab.services.jobs.wait", wait_inline)
    monkeypatch.setenv("GENAI_LAB_DEVICE", "cpu")


def test_there_are_six_scripts_and_two_notebooks() -> None:
    assert [path.stem for path in SCRIPTS] == sorted(PRINTED)
    assert len(NOTEBOOKS) == 2
    listed = (FOLDER / "README.md").read_text()
    assert all(path.name in listed for path in (*SCRIPTS, *NOTEBOOKS))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        module.main(tmp_path / "home", max_steps=2, rows=6, **FAKES.get(path.stem, {}))
    finally:
        METRICS.drop("distinct_words")
    assert PRINTED[path.stem] in capsys.readouterr().out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_results(path: Path, tmp_path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    scope: dict[str, Any] = {"HOME": tmp_path / "home", "ROWS": 6, "STEPS": 2, "MODEL": "fake", "__name__": "__main__"}
    pages = [run_cell("".join(cell["source"]), scope) for cell in cells]
    assert sum("<table" in page for page in pages) >= 3
    assert all(not cell["outputs"] for cell in cells), "notebooks are stored without outputs"


def run_cell(source: str, scope: dict[str, Any]) -> str:
    """Executes a cell; the HTML that a notebook would show for its last expression, empty where there is none."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), scope)
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)  # type: ignore[attr-defined]
    return str(value._repr_html_()) if hasattr(value, "_repr_html_") else repr(value)
