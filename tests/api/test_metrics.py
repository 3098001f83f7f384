"""`@gl.metric`: a function in a script is measured in this process, and in workers by its source."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import genai_lab as gl
from genai_lab.api.metrics import module_source
from genai_lab.metrics import METRICS, measure

VOWELS = "aeiou"


def count_vowels(text: str) -> int:
    return sum(letter in VOWELS for letter in text)


@pytest.fixture
def registered() -> Iterator[str]:
    @gl.metric(low=0.0, title="Vowels")
    def vowels(prediction: str) -> float:
        """How many vowels a completion has."""
        return count_vowels(prediction)

    yield "vowels"
    METRICS.drop("vowels")


def test_a_function_is_measured_with_its_interval(registered: str) -> None:
    figures = measure(registered, ["aa", "bb", "aeiou"], []).figures
    assert figures["vowels"].value == pytest.approx(7 / 3)
    assert figures["vowels"].low is not None
    metric = METRICS.get(registered)
    assert (metric.title, metric.needs, metric.about) == ("Vowels", "text", "How many vowels a completion has.")


def test_a_function_of_references_needs_them() -> None:
    @gl.metric
    def starts_alike(prediction: str, references: Sequence[str]) -> float | None:
        return None if not prediction else float(any(prediction[0] == each[:1] for each in references))

    try:
        figures = measure("starts_alike", ["ab", "cd", ""], [["ax"], ["x"], ["y"]]).figures
        assert (figures["starts_alike"].value, figures["starts_alike"].n) == (0.5, 2)
        assert METRICS.get("starts_alike").needs == "references"
    finally:
        METRICS.drop("starts_alike")


def test_a_function_of_three_arguments_is_refused() -> None:
    with pytest.raises(gl.LabError, match="takes 3 arguments"):
        gl.metric(lambda prediction, references, settings: 0.0)


def test_the_module_that_workers_import_brings_what_the_function_uses(registered: str, tmp_path: Path) -> None:
    function = METRICS.get(registered).function  # type: ignore[attr-defined]
    text = module_source(function)
    assert "VOWELS = 'aeiou'" in text
    assert "def count_vowels" in text
    (tmp_path / "vowels_module.py").write_text(text)
    code = "import vowels_module; from genai_lab.metrics import METRICS; print(METRICS.get('vowels').title)"
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(gl.__file__).parents[1]}"}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "Vowels"


def test_a_lab_finds_the_metrics_that_an_earlier_session_wrote(registered: str, tmp_path: Path) -> None:
    from genai_lab.api.metrics import publish

    with gl.open(tmp_path / "home") as lab:
        publish(lab.context, [registered])
    assert (tmp_path / "home" / "plugins" / "metric_vowels.py").is_file()
    METRICS.drop(registered)
    (tmp_path / "home" / "plugins" / "broken.py").write_text("raise ValueError('broken')")
    with gl.open(tmp_path / "home"):
        assert METRICS.get(registered).title == "Vowels"
