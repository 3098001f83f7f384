"""The functions behind the playground, without a browser: chat, comparing, and whose settings stand there."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Sampling, Token
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, models
from pages.components.forms import Form, in_section, section
from pages.components.head import escape_template_text, escaped_html
from pages.components.settings_inputs import read_settings, write_settings
from pages.playground import best, chat, compare, examples, grid, running, settings, single, streaming
from pages.playground.settings import SETTINGS

SHORT = write_settings(Sampling(max_new_tokens=4, seed=1))
HELLO = Prompt(messages=({"role": "user", "content": "Hi"},), mode="chat")
CONVERSATION = {
    "messages": [{"role": "user", "content": "Hi"}],
    "last": "Hello",
    "run": None,
}


def question(mode: str = "chat", prompt: str = "", **changes: Any) -> dict[str, Any]:
    """What the Single tab holds."""
    values = {"model": "tiny", "mode": mode, "prompt": prompt, "system": "", "conversation": CONVERSATION}
    return {**values, **SHORT, **changes}


def request(**query: str) -> Any:
    return SimpleNamespace(query_params=query)


def value_of(update: Any) -> Any:
    return update.get("value") if isinstance(update, dict) and "__type__" in update else update


def opened(lab: LabContext, draft: Any = None, **query: str) -> dict[str, Any]:
    """What the page shows on opening, by name."""
    values = {"draft": json.dumps(draft) if draft is not None else None}
    updates = single.load_page(lab, values, request(**query))
    return {name: value_of(update) for name, update in updates.items()}


@pytest.fixture(scope="module")
def page(lab: LabContext) -> Form:
    with gr.Blocks():
        return single.build(lab)


def test_a_message_joins_the_conversation_as_it_is_sent(lab: LabContext) -> None:
    updates = list(running.generate(lab, question(prompt="How are you?", system="Be kind.")))
    roles = [message["role"] for message in updates[0]["conversation"]["messages"]]
    assert roles == ["user", "assistant", "user"]
    state = updates[-1]["state"]
    view = generation.run(lab, state["run"])
    contents = [message["content"] for message in view.prompt.messages]
    assert contents == ["Be kind.", "Hi", "Hello", "How are you?"]
    after = chat.on_run_end(lab, {"state": state, "prompt": "the next one, typed meanwhile"})
    assert "prompt" not in after
    assert after["conversation"]["last"] == view.completions[0].text
    assert chat.pop_message(after["conversation"])[0] == "How are you?"


def test_a_message_that_cannot_be_sent_leaves_the_conversation_as_it_was(lab: LabContext) -> None:
    updates: list[Any] = []
    with pytest.raises(LabError, match="tokens"):
        updates.extend(running.generate(lab, question(prompt="word " * 3000)))
    assert updates[-1]["conversation"] == CONVERSATION


def test_a_bad_setting_or_no_model_is_one_sentence(lab: LabContext) -> None:
    with pytest.raises(LabError, match="Temperature is 9"):
        next(running.generate(lab, question(prompt="Hi", temperature=9)))
    with pytest.raises(LabError, match="No model is chosen"):
        next(running.generate(lab, question(prompt="Hi", model=None)))
    with pytest.raises(LabError, match="press Generate first"):
        next(running.continue_run(lab, {"state": streaming.NO_RUN}))


def test_grid_and_best_ask_the_last_message_again_when_the_box_is_empty(lab: LabContext) -> None:
    prompt = chat.question_of(lab, question())
    assert [message["content"] for message in prompt.messages] == ["Hi"]
    assert chat.question_of(lab, question("completion", "Once")).text == "Once"
    with pytest.raises(LabError, match="The message is empty"):
        chat.question_of(lab, question(prompt=" ", conversation=None))


def test_a_message_is_undone_and_a_new_chat_too(lab: LabContext) -> None:
    before = chat.on_undo_message({"conversation": CONVERSATION})
    assert (before["prompt"], before["conversation"]["messages"]) == ("Hi", [])
    fresh = chat.on_new_chat({"conversation": CONVERSATION})
    assert fresh["conversation"] == chat.empty_conversation()
    again = chat.on_undo_new_chat(lab, {"former_conversation": fresh["former_conversation"]})
    assert again["conversation"] == CONVERSATION
    with pytest.raises(LabError, match="no message to undo"):
        chat.on_undo_message({"conversation": chat.empty_conversation()})


def test_settings_of_an_example_stay_with_its_model(lab: LabContext) -> None:
    example = next(example for example in examples.examples() if example.title == "Continue a story")
    updates = examples.use_example(lab, example)
    assert (updates["max_new_tokens"], updates["temperature"]) == (80, 0.7)
    values = {**{name: updates[name] for name in SETTINGS}, "model": "tiny", "seed": 11}
    after = settings.use_model(lab, values)
    assert after["max_new_tokens"] != 80
    assert after["temperature"] == Sampling().temperature
    assert after["seed"] == 11
    assert "default" in after["origin"]
    assert value_of(after["mode"]) == "chat"
    assert value_of(after["preset"]) is None


def test_settings_that_are_still_a_modes_own_follow_the_mode_and_changed_ones_stay(lab: LabContext) -> None:
    talk = write_settings(settings.generation_settings(lab, "tiny", "chat")[0])
    plain = write_settings(settings.generation_settings(lab, "tiny", "completion")[0])
    assert talk != plain
    after = settings.use_mode(lab, {"model": "tiny", "mode": "completion", **talk})
    assert {name: after[name] for name in SETTINGS} == plain
    changed = write_settings(replace(Sampling(), temperature=1.7))
    assert settings.use_mode(lab, {"model": "tiny", "mode": "completion", **changed}) == {}


def test_a_preset_keeps_length_and_seed_and_is_saved_by_name(lab: LabContext) -> None:
    values = question(preset_name=" warm ", temperature=1.3, max_new_tokens=33)
    assert value_of(settings.save_preset(lab, values)["preset"]) == "warm"
    after = settings.use_preset(lab, question(preset="warm", max_new_tokens=5, seed=3))
    assert (after["temperature"], after["max_new_tokens"], after["seed"]) == (1.3, 5, 3)
    assert "warm" not in settings.delete_preset(lab, {"preset": "warm"})["preset"]["choices"]
    with pytest.raises(LabError, match="Temperature is 9"):
        settings.save_preset(lab, question(preset_name="hot", temperature=9))


def test_settings_that_arrive_late_are_proposals_to_the_browser(page: Form) -> None:
    """The browser takes over only those whose fields still hold what they held when the model was chosen."""
    ((server, browser),) = _handlers(page, "use_model")
    assert server.trigger_mode == "always_last"
    outputs = {component._id for component in browser.outputs}
    assert outputs == {page[name]._id for name in ("model", "origin", *SETTINGS)}
    assert browser.fn is None
    values = {page[name]: value for name, value in {**SHORT, "model": "tiny", "origin": "Yours."}.items()}
    answer = server.fn(values)
    assert not {page[name] for name in SETTINGS} & set(answer)
    packed = next(value for component, value in answer.items() if component not in page.components.values())
    question = json.loads(packed)
    assert question["asked"] == {"model": "tiny", "origin": "Yours.", **SHORT}
    assert question["proposed"]["temperature"] == Sampling().temperature


def _handlers(page: Form, name: str) -> list[Any]:
    """(what the server does, what the browser does then) of the proposals of this name."""
    blocks = page["model"]
    while blocks.parent is not None:
        blocks = blocks.parent
    wired = list(blocks.fns.values())
    return [(fn, wired[n + 1]) for n, fn in enumerate(wired) if getattr(fn.fn, "__name__", "") == name]


def test_a_draft_keeps_its_settings_with_its_model_alone(lab: LabContext) -> None:
    sampling_values = write_settings(Sampling(max_new_tokens=80, temperature=1.1))
    draft = {
        "model": "starter-causal",
        "mode": "completion",
        "prompt": "A draft",
        **sampling_values,
        "note": streaming.NO_NOTE,
    }
    restored = opened(lab, draft)
    assert (restored["model"], restored["prompt"], restored["temperature"]) == ("starter-causal", "A draft", 1.1)
    other = opened(lab, draft, model="tiny")
    assert (other["model"], other["prompt"]) == ("tiny", "A draft")
    assert other["temperature"] == Sampling().temperature
    assert opened(lab, ["of", "another", "shape"])["model"]


def test_a_draft_of_an_earlier_version_still_opens(lab: LabContext) -> None:
    former = ["tiny", "chat", "Go on", "Be kind.", CONVERSATION, 77, 1.1, 5, 0.9, True, 0.1, 0.8, 1.2, 3, 2, 4, "x", 9]
    restored = opened(lab, [*former, streaming.NO_NOTE])
    assert (restored["model"], restored["mode"], restored["prompt"], restored["system"]) == (
        "tiny",
        "chat",
        "Go on",
        "Be kind.",
    )
    assert restored["conversation"] == CONVERSATION
    sampling = read_settings(Sampling, restored)
    assert sampling == Sampling(77, 1.1, 5, 0.9, 0.1, 0.8, 1.2, 3, 2, 4, True, ("x",), 9)


def test_a_prompt_of_another_page_is_a_draft(lab: LabContext) -> None:
    messages = ({"role": "system", "content": "Be kind."}, {"role": "user", "content": "costs $5"})
    restored = opened(
        lab, json.loads(single.draft_of("tiny", Prompt(messages=messages, mode="chat"), Sampling(top_k=3)))
    )
    assert (restored["prompt"], restored["system"], restored["top_k"]) == ("costs $5", "Be kind.", 3)


def test_a_conversation_with_dollars_comes_back_as_it_was(lab: LabContext) -> None:
    """The browser holds texts of a template as the template must be given them."""
    conversation = {**CONVERSATION, "last": r"${5} \n"}
    draft = {"model": "tiny", "mode": "completion", "conversation": escape_template_text(conversation)}
    assert opened(lab, draft)["conversation"] == conversation


def test_a_run_of_the_address_is_shown_and_a_draft_that_goes_with_it_is_taken_up(lab: LabContext) -> None:
    *_, last = running.generate(lab, question("completion", "Once upon", conversation=None))
    run = last["state"]["run"]
    assert opened(lab, None, run=str(run))["prompt"] == "Once upon"
    draft = {"model": "tiny", "mode": "completion", "prompt": "Once upon a time", **SHORT, "note": {"run": run}}
    again = opened(lab, draft, run=str(run))
    assert (again["prompt"], again["state"]["run"], again["note"]["run"]) == ("Once upon a time", run, run)
    other = opened(lab, {**draft, "note": {"run": run + 1000}}, run=str(run))
    assert other["prompt"] == "Once upon"


def test_a_chat_run_without_an_answer_is_asked_again(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    view = generation.run(lab, generation.generate(lab, "tiny", HELLO, Sampling(max_new_tokens=2, seed=1)).id)
    answered = opened(lab, None, run=str(view.id))
    assert (answered["prompt"], answered["conversation"]["messages"]) == ("", [{"role": "user", "content": "Hi"}])
    monkeypatch.setattr(generation, "run", lambda lab, run_id: replace(view, completions=(), status="failed"))
    empty = opened(lab, None, run=str(view.id))
    assert (empty["prompt"], empty["conversation"]["messages"]) == ("Hi", [])


def test_chips_suit_the_mode_and_the_model() -> None:
    def titles(model: str, mode: str) -> list[str]:
        updates = examples.on_model_or_mode({"model": model, "mode": mode})
        return [title for title, update in updates.items() if update["visible"]]

    assert "Continue a story" in titles("tiny", "completion")
    assert set(titles("tiny", "chat")) == {message.title for message in examples.MESSAGES}
    assert titles("starter-causal", "chat") == ["Ask for help", "Another request"]


def test_compare_opens_with_two_different_things_and_the_conversation(lab: LabContext) -> None:
    values = in_section(question(system="Be kind."), compare.SINGLE)
    updates = compare.copy_single(lab, values)
    assert updates["filled"]
    assert (updates["prompt"], updates["conversation"]["messages"]) == ("Hi", [])
    first, second = section(updates, "panel1"), section(updates, "panel2")
    assert value_of(first["model"]) == "tiny"
    assert value_of(second["model"]) != "tiny"
    assert (value_of(first["mode"]), first["system"]) == ("chat", "Be kind.")
    untouched = {"filled": False, "runs": [], "prompt": "", **values}
    assert compare.on_tab_select(lab, untouched)["prompt"] == "Hi"
    assert compare.on_tab_select(lab, {**untouched, "prompt": "typed here"}) == {}
    plain = compare.copy_single(lab, in_section(question("completion"), compare.SINGLE))
    assert plain["prompt"] == compare.FIRST_PROMPT


def test_every_panel_has_its_own_mode_and_system_prompt(lab: LabContext) -> None:
    sampling_values = write_settings(Sampling(max_new_tokens=3, seed=1), compare.SETTINGS)
    messages = [*CONVERSATION["messages"], {"role": "assistant", "content": "Hello"}]
    values = {"prompt": "And now?", "conversation": {"messages": messages, "last": "", "run": None}, "panels": "2"}
    values |= in_section({"model": "tiny", "mode": "chat", "system": "Be kind.", **sampling_values}, "panel1")
    values |= in_section({"model": "tiny", "mode": "completion", "system": "", **sampling_values}, "panel2")
    updates = list(compare.compare(lab, values))
    run_ids = next(update["runs"] for update in updates if "runs" in update)
    group = compare.group_of(lab, {"runs": run_ids})["address"]
    first, two = generation.group_runs(lab, group)
    assert [message["content"] for message in first.prompt.messages] == ["Be kind.", "Hi", "Hello", "And now?"]
    assert (two.mode, two.prompt.text) == ("completion", "And now?")
    assert any("mode completion" in update.get("panel2.note", "") for update in updates)
    page = compare.load_page(lab, request(group=group))
    assert (page["tabs"]["selected"], page["prompt"]) == ("compare", "And now?")
    assert [message["content"] for message in page["conversation"]["messages"]] == ["Hi", "Hello"]
    assert value_of(page["panel2.mode"]) == "completion"
    with pytest.raises(LabError, match="Panel 2 has no model"):
        next(compare.compare(lab, {**values, "panel2.model": None}))


def grid_values(**changes: Any) -> dict[str, Any]:
    axes = {"rows": "temperature", "row_values": "0.2, 1", "columns": "seed", "column_values": "1,2"}
    return {**question("completion", "Once"), **axes, **changes}


def test_a_grid_varies_two_settings_and_names_what_is_wrong(lab: LabContext) -> None:
    updates = list(grid.run_grid(lab, grid_values()))
    assert len(updates[0]["runs"]) == 4
    assert "4 of 4 done" in updates[-1]["table"]
    settings_ = [generation.run(lab, run).sampling for run in updates[0]["runs"]]
    assert [(sampling.temperature, sampling.seed) for sampling in settings_] == [(0.2, 1), (0.2, 2), (1.0, 1), (1.0, 2)]
    for changes, sentence in (
        ({"columns": "temperature"}, "both vary temperature"),
        ({"row_values": "warm"}, "a list of numbers"),
        ({"row_values": ""}, "values of temperature are empty"),
        ({"row_values": "9"}, "Temperature is 9"),
        ({"column_values": ",".join(map(str, range(19)))}, "at most 36"),
        ({"model": None}, "No model is chosen"),
    ):
        with pytest.raises(LabError, match=sentence):
            next(grid.run_grid(lab, grid_values(**changes)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reward_model": None}, "No reward model is chosen"),
        ({"model": ""}, "No model is chosen"),
        ({"count": 1}, "Completions is 1, but it must be from 2 to 16"),
        ({"greedy": True}, "Greedy decoding gives the same completion"),
    ],
)
def test_best_of_n_names_what_is_wrong(lab: LabContext, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        best.generate_and_rank(lab, {**question(), "reward_model": "judge", "count": 4, **changes})


@pytest.mark.parametrize(
    ("text", "reason", "sentence", "cut"),
    [
        ("A story", "length", "Cut at 3 tokens, its limit.", True),
        ("A story", "end of text", "ended by end of text.", False),
        ("", "end of text", "only white space or special tokens before it ended", False),
        ("", "stop string", "the model began with a stop string", False),
        (" ", "length", "white space", False),
    ],
)
def test_the_note_says_how_a_completion_ended_and_why_it_is_empty(
    text: str, reason: Any, sentence: str, cut: bool
) -> None:
    tokens = tuple(Token(n, "x") for n in range(3))
    completion = Completion(0, text, tokens, reason, 2, 1, 0.5, 0.1)
    note = streaming.note_of(7, "tiny", [completion], "finished", 3)
    assert sentence in note["text"]
    assert note["cut"] is cut


def test_a_loading_model_says_what_is_done_and_how_long_it_takes(lab: LabContext) -> None:
    assert "270 MB" in streaming.loading("tiny", 270_000_000)["tokens"]["placeholder"]
    assert "7 s so far" in streaming.loading("tiny", 270_000_000, 7.2)["tokens"]["placeholder"]
    models.unload(lab, "tiny")
    updates = list(streaming.load_with_updates(lab, "tiny"))
    assert updates
    assert models.show(lab, "tiny").status == "loaded"
    assert list(streaming.load_with_updates(lab, "tiny")) == []


def test_a_run_whose_tokens_come_at_once_has_a_speed() -> None:
    completion = Completion(0, "abc", tuple(Token(n, "x") for n in range(4)), "length", 2, 1, 0.5, 0.5)
    assert generation.stats_from([completion], 512).tokens_per_second == pytest.approx(8.0)


def test_a_drawn_piece_that_is_updated_still_escapes_what_its_second_reading_would_run() -> None:
    """Gradio builds a component anew from its class for every update of a property."""
    with gr.Blocks():
        component = escaped_html({}, html_template="{{value.name}}", visible=False)
        again = component.__class__(**{**component.constructor_args, "visible": True, "render": False})
    assert again.get_block_name() == "html"
    assert again.postprocess({"name": "${alert(1)}"}) == {"name": r"\${alert(1)}"}
    assert again.preprocess({"name": r"\${a}"}) == {"name": "${a}"}


def test_the_microscope_has_a_chart_or_says_why_not(lab: LabContext) -> None:
    state = list(running.generate(lab, question("completion", "Once")))[-1]["state"]
    updates = running.draw_microscope(lab, {"state": state, **SHORT})
    assert updates["chart"]["visible"]
    assert value_of(updates["chart"]).data
    assert not updates["chart_note"]["visible"]
    updates = running.draw_microscope(lab, {"state": {**state, "index": 99}, **SHORT})
    assert not updates["chart"]["visible"]
    assert "Sampler microscope" in value_of(updates["chart_note"])
    assert running.draw_microscope(lab, {"state": single.NO_RUN, **SHORT}) == {}
