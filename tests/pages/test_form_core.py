"""Forms by name, without a browser: drawing settings, reading and writing them, drafts, handlers, late proposals."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from pages.components.forms import Form, in_section, read_draft, section
from pages.components.settings_inputs import (
    Updates,
    Values,
    draw_settings,
    former_names,
    read_settings,
    setting_label,
    setting_names,
    write_settings,
)


@dataclass(frozen=True)
class Adapter:
    rank: int = field(default=8, metadata={"help": "Width.", "low": 1, "high": 64})
    target: str = field(default="attention", metadata={"choices": ["attention", "all"]})
    note: str = field(default="", metadata={"label": "Remark"})


def inputs_of(form: Form, **values: Any) -> dict[Any, Any]:
    """What Gradio hands to the handler of a set of inputs."""
    return {form[name]: value for name, value in values.items()}


@pytest.fixture
def form() -> Iterator[Form]:
    with gr.Blocks():
        form = Form(prompt=gr.Textbox(label="Prompt"), table=gr.HTML(), model=gr.Dropdown(["a", "b"]))
        form.add_settings(Sampling, prefix="pg")
        yield form


def test_sampling_goes_through_its_inputs_and_comes_back_the_same(form: Form) -> None:
    settings = replace(Sampling(), temperature=1.2, top_k=40, stop=("\n\n", "a b", "\\n"), seed=7, greedy=True)
    posted = {name: form[name].preprocess(value) for name, value in write_settings(settings).items()}
    assert read_settings(Sampling, {"prompt": "Once", **posted}) == settings


def test_inputs_begin_with_the_defaults_and_whole_numbers_stay_whole(form: Form) -> None:
    values = {name: form[name].value for name in setting_names(Sampling)}
    changed = values | {"top_k": 40.0, "temperature": 1, "stop": None}
    assert read_settings(Sampling, changed) == Sampling(top_k=40, temperature=1.0)
    assert read_settings(Sampling, {}) == Sampling()


def test_a_new_setting_needs_no_page() -> None:
    with gr.Blocks():
        inputs = draw_settings(Adapter, prefix="tune")
    assert [type(component) for component in inputs.values()] == [gr.Slider, gr.Dropdown, gr.Textbox]
    assert (inputs["rank"].elem_id, inputs["rank"].info, inputs["note"].label) == ("tune-rank", "Width.", "Remark")
    assert read_settings(Adapter, {"rank": 16, "target": "all", "note": "x"}) == Adapter(16, "all", "x")


def test_some_fields_can_be_drawn_and_written() -> None:
    with gr.Blocks():
        form = Form()
        assert form.add_settings(Adapter, ["note", "rank"], section="method.lora") == [
            "method.lora.note",
            "method.lora.rank",
        ]
    assert write_settings(Adapter(4), ["rank"]) == {"rank": 4}


def test_a_value_outside_its_range_is_the_settings_own_error() -> None:
    with pytest.raises(BadSetting, match="Temperature is 9"):
        read_settings(Sampling, {"temperature": 9.0})


def test_labels_are_the_fields_own(form: Form) -> None:
    assert (form["top_k"].label, form["max_new_tokens"].label) == ("Top-k", "Max new tokens")
    assert form["num_return_sequences"].label == "Completions"
    assert [setting_label(Sampling, name) for name in ("top_k", "num_beams")] == ["top-k", "beams"]
    assert former_names(Sampling)["beams"] == "num_beams"


def test_a_handler_takes_values_and_gives_updates_by_name(form: Form) -> None:
    def run(lab: str, values: Values) -> Updates:
        return {"table": f"{lab}: {values['prompt']}", "model": gr.update(choices=["c"])}

    answer = form.handler(run, "lab")({form["prompt"]: "Hi", form["top_k"]: 3})
    assert answer == {form["table"]: "lab: Hi", form["model"]: gr.update(choices=["c"])}


def test_a_streaming_handler_and_one_that_changes_nothing(form: Form) -> None:
    def stream(values: Values) -> Iterator[Updates]:
        yield {"table": values["prompt"]}
        yield {}

    handler = form.handler(stream)
    assert inspect.isgeneratorfunction(handler)
    assert list(handler(inputs_of(form, prompt="Hi"))) == [{form["table"]: "Hi"}, gr.skip()]


def test_a_handler_still_gets_the_request_and_the_event(form: Form) -> None:
    def choose(lab: str, values: Values, request: gr.Request, event: gr.EventData) -> Updates:
        return {"table": f"{values['prompt']} {request} {event}"}

    handler = form.handler(choose, "lab")
    parameters = inspect.signature(handler).parameters
    assert list(parameters) == ["values", "request", "event"]
    assert handler.__annotations__["request"] is gr.Request
    assert handler(inputs_of(form, prompt="Hi"), "asked", "clicked") == {form["table"]: "Hi asked clicked"}


def test_errors_of_a_handler_are_one_sentence_and_wrong_names_are_bugs(form: Form) -> None:
    def refuse(values: Values) -> Updates:
        raise LabError("No.")

    with pytest.raises(gr.Error, match="No"):
        form.handler(refuse)(inputs_of(form, prompt="Hi"))
    with pytest.raises(KeyError):
        form.handler(lambda: {"tabel": 1})()
    with pytest.raises(TypeError, match="updates by name"):
        form.handler(lambda: ["x"])()
    with pytest.raises(ValueError, match="two components"):
        form.add(prompt=gr.Textbox())


def test_gradio_calls_the_handler_with_the_values_of_the_inputs() -> None:
    """Gradio sorts a set of inputs by their creation; the names do not mind."""
    with gr.Blocks() as blocks:
        form = Form(second=gr.Textbox(), first=gr.Number(), table=gr.HTML())
        button = gr.Button()
        form.on(
            button.click,
            lambda values: {"table": json.dumps(values)},
            inputs=["first", "second"],
            outputs=["table"],
            api_name="show",
        )
    wired = next(iter(blocks.fns.values()))
    assert wired.inputs_as_dict
    assert [component._id for component in wired.inputs] == sorted(form[name]._id for name in ("first", "second"))
    answer = wired.fn(dict(zip(wired.inputs, ["text", 3], strict=True)))
    assert json.loads(answer[form["table"]]) == {"second": "text", "first": 3}


def test_forms_share_components_and_name_sections(form: Form) -> None:
    with gr.Blocks():
        grid = Form(rows=gr.Dropdown([]))
    names = grid.include(form, ["prompt", "top_k"], section="single")
    assert names == ["single.prompt", "single.top_k"]
    handler = grid.handler(lambda values: {"rows": section(values, "single")["prompt"]})
    assert handler({form["prompt"]: "Hi", form["top_k"]: 1}) == {grid["rows"]: "Hi"}
    assert in_section({"prompt": "Hi"}, "single") == {"single.prompt": "Hi"}


def test_a_draft_is_read_by_name_whatever_else_it_holds() -> None:
    names = ["prompt", "top_k"]
    assert read_draft(json.dumps({"prompt": "Hi", "gone": 1}), names) == {"prompt": "Hi"}
    assert read_draft(json.dumps(["Hi", 3]), names, former=["prompt", "top_k"]) == {"prompt": "Hi", "top_k": 3}
    assert read_draft(json.dumps({"k": 3}), names, aliases={"k": "top_k"}) == {"top_k": 3}
    for text in (None, "", "no JSON", "3", json.dumps({"gone": 1}), json.dumps(["Hi"])):
        assert read_draft(text, names, former=["prompt", "top_k"]) is None


def test_a_draft_is_kept_after_every_change_by_name() -> None:
    with gr.Blocks() as blocks:
        form = Form(prompt=gr.Textbox(), note=gr.HTML())
        draft = gr.BrowserState(None)
        form.keep_draft(draft, ["prompt", "note"])
    wired = list(blocks.fns.values())
    assert len(wired) == 2
    assert all('["prompt", "note"]' in str(event.js) and event.fn is None for event in wired)


def test_a_proposal_leaves_fields_to_the_browser_and_applies_the_rest_at_once() -> None:
    def settings_of(lab: str, values: Values) -> Updates:
        return {"top_k": 7, "origin": lab, "mode": gr.update(choices=["b"], value="b"), "note": gr.update(lines=2)}

    with gr.Blocks() as blocks:
        form = Form(model=gr.Dropdown(["a", "b"]), top_k=gr.Number(), note=gr.Textbox(), origin=gr.HTML())
        form.add(mode=gr.Radio([]))
        form.propose(
            form["model"].input,
            settings_of,
            "own",
            choices=["model"],
            inputs=["top_k", "note"],
            outputs=["top_k", "note", "origin", "mode"],
        )
    server, browser = blocks.fns.values()
    assert (server.trigger_mode, browser.fn) == ("always_last", None)
    answer = server.fn({form["model"]: "b", form["top_k"]: 3, form["note"]: ""})
    packed = next(value for component, value in answer.items() if component not in form.components.values())
    assert json.loads(packed) == {"asked": {"model": "b", "top_k": 3, "note": ""}, "proposed": {"top_k": 7}}
    assert answer[form["origin"]] == "own"
    assert form["top_k"] not in answer
    assert answer[form["note"]] == gr.update(lines=2)
    assert answer[form["mode"]]["value"] == "b"  # the modes of another model leave nothing to compare with
