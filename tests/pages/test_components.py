"""The components that pages are built of, without a browser."""

import ast
import inspect
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # turns Gradio's analytics off before it is imported
from genai_lab.decoding import Stage, Token
from genai_lab.errors import LabError
from pages.components.errors import event_handler
from pages.components.head import escaped_html
from pages.components.plots import microscope_figure, sparkline
from pages.components.stats import count_text, left_out_text, seconds_text, size_text
from pages.components.tokenmap import TokenStream, token_value
from pages.feedback import results


def test_a_template_is_given_text_that_its_second_reading_takes_for_text() -> None:
    value = {"rows": [["${alert(1)}", r"C:\new\xyz", 3]], "name": "$5 `a`", "none": None}
    with gr.Blocks():
        piece = escaped_html({}, html_template="{{value.name}}")
    sent = piece.postprocess(value)
    assert sent["rows"][0][:2] == [r"\${alert(1)}", r"C:\\new\\xyz"]
    assert piece.preprocess(sent) == value


def test_no_page_has_a_template_without_that() -> None:
    """The token map's own template holds nothing but its caption."""
    files = [path for path in Path(pages.__file__).parent.rglob("*.py") if "html_template=" in path.read_text()]
    bare = {
        path.name
        for path in files
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and any(item.arg == "html_template" for item in call.keywords)
        if ast.unparse(call.func) != "escaped_html"
    }
    assert len(files) > 8
    assert bare == {"tokenmap.py"}


def refuse(lab: object, text: str) -> str:
    raise LabError(f"No {text}.")


def stream(lab: Any, request: gr.Request, count: int) -> Any:
    yield lab.name
    raise ValueError(count)


def test_a_lab_error_reaches_the_page_escaped_and_without_traceback() -> None:
    with pytest.raises(gr.Error) as caught:
        event_handler(refuse, "lab")("<b>x</b>")
    assert caught.value.message == "No &lt;b&gt;x&lt;/b&gt;."
    assert not caught.value.print_exception


def test_a_bug_is_logged_under_the_id_that_the_page_names(caplog: pytest.LogCaptureFixture) -> None:
    handler = event_handler(stream, SimpleNamespace(name="lab"))
    assert inspect.isgeneratorfunction(handler)
    assert list(inspect.signature(handler).parameters) == ["request", "count"]
    steps = handler(None, 3)
    assert next(steps) == "lab"
    with pytest.raises(gr.Error, match=r"error [0-9a-f]{4}\); the log") as caught:
        next(steps)
    code = caught.value.message.split("error ")[1][:4]
    assert code in caplog.text
    assert "ValueError: 3" in caplog.text


def token(text: str, p: float = 0.5) -> Token:
    first = Stage("model", (1, 2), (text, "other"), (p, 0.3), 0)
    return Token(1, text, math.log(p), 0.9, (first, Stage("top-k", (1,), (text,), (0.9,), 1)))


def test_each_delta_repeats_the_one_before_it_so_that_a_lost_one_is_mended() -> None:
    values = TokenStream(completion=2)
    pushed = [values.push([token(text)]) for text in "abc"]
    assert [(item["start"], [t["t"] for t in json.loads(item["tokens"])]) for item in pushed] == [
        (0, ["a"]),
        (0, ["a", "b"]),
        (1, ["b", "c"]),
    ]
    full = values.full(selected=1)
    assert [t["t"] for t in json.loads(full["tokens"])] == ["a", "b", "c"]
    assert (full["key"], full["completion"], full["selected"]) == (pushed[0]["key"], 2, 1)


def test_a_token_carries_its_probabilities_before_and_after_the_filters() -> None:
    assert token_value(token("a")) == {
        "t": "a",
        "i": 1,
        "p": 0.5,
        "d": 0.9,
        "a": [[1, "a", 0.5, 0.9], [2, "other", 0.3, 0.0]],
    }
    assert token_value(Token(None, "x")) == {"t": "x", "i": None}


def test_the_microscope_greys_what_a_filter_removed_and_counts_it() -> None:
    model = SimpleNamespace(filter="model", removed=0, probabilities=(0.6, 0.3, 0.1))
    top_k = SimpleNamespace(filter="top-k", removed=2, probabilities=(1.0, 0.0, 0.0))
    view = SimpleNamespace(tokens=(" a", "<b>", "\n"), stages=(model, top_k), chosen=0)
    figure = microscope_figure(view).to_plotly_json()
    assert list(figure["data"][1]["text"]) == ["100.0 %", "removed", "removed"]
    assert "2 removed" in figure["layout"]["annotations"][1]["text"]
    assert list(figure["layout"]["yaxis"]["ticktext"]) == ["<b>▸ ·a</b>", "&lt;b&gt;", "↵"]


def test_figures_are_written_with_their_units() -> None:
    assert [size_text(n) for n in (None, 12, 40_300_000, 548_000_000)] == ["–", "12 B", "40.3 MB", "548 MB"]
    assert [count_text(n) for n in (260_032, 5_500_000, 124_000_000)] == ["260k", "5.5M", "124M"]
    assert [seconds_text(t) for t in (0.084, 2.34, 74.0, 7800.0)] == ["84 ms", "2.3 s", "74 s", "2 h 10 min"]
    assert left_out_text(0, ()) == "0 left out"
    assert left_out_text(1, (4,)) == "1 left out (row 4)"
    assert left_out_text(9, (2, 4, 6)) == "9 left out (rows 2, 4, 6 ...)"
    assert sparkline([1.0]) == ""
    assert "<polyline" in sparkline([1.0, 2.0])


def test_names_in_a_chart_differ_although_they_are_cut() -> None:
    model = "starter-causal, repetition-penalty 1.2, temperature"
    names = ["a < b", f"{model} 0.5", f"{model} 1.5", f"{model[:14]} other{model[-30:]} 1.5"]
    labels = results._short(names)
    assert labels[0] == "a &lt; b"
    assert len(set(labels)) == 4
    assert max(map(len, labels)) <= 30
