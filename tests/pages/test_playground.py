"""The functions behind the playground, without a browser: chat, comparing, and whose settings stand there."""

import json
from collections.abc import Sequence
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
from genai_lab.services import generation
from pages.components.head import drawn
from pages.components.settings_form import show_settings
from pages.playground import chat, compare, examples, running, settings, single, streaming
from pages.playground.settings import NAMES

SHORT = show_settings(Sampling(max_new_tokens=4, seed=1), NAMES)
HELLO = Prompt(messages=({"role": "user", "content": "Hi"},), mode="chat")
TALK = {
    "messages": [{"role": "user", "content": "Hi"}],
    "last": "Hello",
    "run": None,
}


def asked(**params: str) -> Any:
    return SimpleNamespace(query_params=params)


def value_of(update: Any) -> Any:
    return update.get("value") if isinstance(update, dict) and "__type__" in update else update


def opened(lab: LabContext, draft: Sequence[Any] | None = None, **params: str) -> dict[str, Any]:
    """What the page shows on opening, by name."""
    made = single.opened(lab, json.dumps(draft) if draft is not None else None, asked(**params))
    names = ["model", "mode", "prompt", "system", "talk", *NAMES, "origin", "tokens", "stats", "state", "note"]
    return {name: value_of(update) for name, update in zip(names, made, strict=False)}


def test_a_message_joins_the_conversation_as_it_is_sent(lab: LabContext) -> None:
    updates = list(running.generate(lab, "tiny", "chat", "How are you?", "Be kind.", TALK, *SHORT))
    roles = [one["role"] for one in updates[0][-1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    run = updates[-1][2]["run"]
    view = generation.run(lab, run)
    assert [one["content"] for one in view.prompt.messages] == ["Be kind.", "Hi", "Hello", "How are you?"]
    prompt, talk = chat.settled(lab, updates[-1][2], "the next one, typed meanwhile")
    assert value_of(prompt) is None
    assert talk["last"] == view.completions[0].text
    assert chat.taken_back(talk)[0] == "How are you?"


def test_a_message_that_cannot_be_sent_leaves_the_conversation_as_it_was(lab: LabContext) -> None:
    seen: list[Any] = []
    with pytest.raises(LabError, match="tokens"):
        seen.extend(running.generate(lab, "tiny", "chat", "word " * 3000, "", TALK, *SHORT))
    assert seen[-1][-1] == TALK


def test_grid_and_best_ask_the_last_message_again_when_the_box_is_empty(lab: LabContext) -> None:
    made = chat.asked_again(lab, "tiny", "chat", "", "", TALK)
    assert [one["content"] for one in made.messages] == ["Hi"]
    assert chat.asked_again(lab, "tiny", "completion", "Once", "", TALK).text == "Once"
    with pytest.raises(LabError, match="The message is empty"):
        chat.asked_again(lab, "tiny", "chat", " ", "", None)


def test_settings_of_an_example_stay_with_its_model(lab: LabContext) -> None:
    example = next(one for one in examples.examples() if one.title == "Continue a story")
    values = examples.use_example(lab, example)
    shown = dict(zip(NAMES, values[5:-1], strict=True))
    assert (shown["max_new_tokens"], shown["temperature"]) == (80, 0.7)
    shown["seed"] = 11
    mode, *after, origin, preset = settings.use_model(lab, "tiny", *shown.values())
    now = dict(zip(NAMES, after, strict=True))
    assert now["max_new_tokens"] != 80
    assert now["temperature"] == Sampling().temperature
    assert now["seed"] == 11
    assert "default" in origin
    assert value_of(mode) == "chat"
    assert value_of(preset) is None


def test_settings_that_are_still_a_modes_own_follow_the_mode_and_changed_ones_stay(lab: LabContext) -> None:
    talk = show_settings(settings.generation_settings(lab, "tiny", "chat")[0], NAMES)
    plain = show_settings(settings.generation_settings(lab, "tiny", "completion")[0], NAMES)
    assert talk != plain
    assert settings.use_mode(lab, "tiny", "completion", *talk)[:-1] == plain
    changed = show_settings(replace(Sampling(), temperature=1.7), NAMES)
    assert settings.use_mode(lab, "tiny", "completion", *changed) == gr.skip()


def test_a_draft_keeps_its_settings_with_its_model_alone(lab: LabContext) -> None:
    own = show_settings(Sampling(max_new_tokens=80, temperature=1.1), NAMES)
    draft = ["starter-causal", "completion", "A draft", "", chat.nothing(), *own, streaming.NO_NOTE]
    kept = opened(lab, draft)
    assert (kept["model"], kept["prompt"], kept["temperature"]) == ("starter-causal", "A draft", 1.1)
    other = opened(lab, draft, model="tiny")
    assert (other["model"], other["prompt"]) == ("tiny", "A draft")
    assert other["temperature"] == Sampling().temperature
    assert opened(lab, ["of", "another", "shape"])["model"]


def test_a_run_of_the_address_is_shown_and_a_draft_that_goes_with_it_is_taken_up(lab: LabContext) -> None:
    *_, last = running.generate(lab, "tiny", "completion", "Once upon", "", chat.nothing(), *SHORT)
    run = last[2]["run"]
    assert opened(lab, None, run=str(run))["prompt"] == "Once upon"
    draft = ["tiny", "completion", "Once upon a time", "", chat.nothing(), *SHORT, {"run": run}]
    again = opened(lab, draft, run=str(run))
    assert (again["prompt"], again["state"]["run"], again["note"]["run"]) == ("Once upon a time", run, run)
    other = opened(lab, [*draft[:-1], {"run": run + 1000}], run=str(run))
    assert other["prompt"] == "Once upon"


def test_a_chat_run_without_an_answer_is_asked_again(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    view = generation.run(lab, generation.generate(lab, "tiny", HELLO, Sampling(max_new_tokens=2, seed=1)).id)
    answered = opened(lab, None, run=str(view.id))
    assert (answered["prompt"], answered["talk"]["messages"]) == ("", [{"role": "user", "content": "Hi"}])
    monkeypatch.setattr(generation, "run", lambda lab, run_id: replace(view, completions=(), status="failed"))
    empty = opened(lab, None, run=str(view.id))
    assert (empty["prompt"], empty["talk"]["messages"]) == ("Hi", [])


def test_chips_suit_the_mode_and_the_model() -> None:
    def titles(model: str, mode: str) -> list[str]:
        shown = zip(examples.all_examples(), examples.suited(model, mode), strict=True)
        return [one.title for one, update in shown if update["visible"]]

    assert "Continue a story" in titles("tiny", "completion")
    assert set(titles("tiny", "chat")) == {one.title for one in examples.MESSAGES}
    assert titles("starter-causal", "chat") == ["Ask for help", "Another request"]


def test_compare_opens_with_two_different_things_and_the_conversation(lab: LabContext) -> None:
    values = ["tiny", "chat", "", "Be kind.", {**TALK, "messages": [*TALK["messages"]], "last": "Hello"}, *SHORT]
    prompt, talk, *panels, touched = compare.take_over(lab, *values)
    assert touched
    assert (prompt, talk["messages"]) == ("Hi", [])
    first, second = panels[: compare.WIDTH], panels[compare.WIDTH : 2 * compare.WIDTH]
    assert value_of(first[0]) == "tiny"
    assert value_of(second[0]) != "tiny"
    assert value_of(first[1]) == "chat"
    untouched = compare.first_look(lab, False, [], "", *values)
    assert untouched[0] == "Hi"
    assert compare.first_look(lab, False, [], "typed here", *values) == gr.skip()
    plain = compare.take_over(lab, "tiny", "completion", "", "", None, *SHORT)
    assert plain[0] == compare.FIRST_PROMPT


def test_every_panel_has_its_own_mode_and_system(lab: LabContext) -> None:
    own = show_settings(Sampling(max_new_tokens=3, seed=1), compare.SHOWN)
    talk = {"messages": [*TALK["messages"], {"role": "assistant", "content": "Hello"}], "last": "", "run": None}
    panels = ["tiny", "chat", "Be kind.", *own, "tiny", "completion", "", *own]
    updates = list(compare.compare(lab, "And now?", talk, "2", *panels, *panels))
    group = compare.group_of(lab, next(update[0] for update in updates if isinstance(update[0], list)))
    one, two = generation.group_runs(lab, group)
    assert [message["content"] for message in one.prompt.messages] == ["Be kind.", "Hi", "Hello", "And now?"]
    assert (two.mode, two.prompt.text) == ("completion", "And now?")
    assert any("mode completion" in str(update[4]) for update in updates)
    tab, _, prompt, shown, *_ = compare.arrived(lab, asked(group=group))
    assert (tab["selected"], prompt) == ("compare", "And now?")
    assert [message["content"] for message in shown["messages"]] == ["Hi", "Hello"]


@pytest.mark.parametrize(
    ("text", "reason", "words", "cut"),
    [
        ("A story", "length", "Cut at 3 tokens, its limit.", True),
        ("A story", "end of text", "ended by end of text.", False),
        ("", "end of text", "only white space or special tokens before it ended", False),
        ("", "stop string", "the model began with a stop string", False),
        (" ", "length", "white space", False),
    ],
)
def test_the_note_says_how_a_completion_ended_and_why_it_is_empty(
    text: str, reason: Any, words: str, cut: bool
) -> None:
    tokens = tuple(Token(n, "x") for n in range(3))
    done = Completion(0, text, tokens, reason, 2, 1, 0.5, 0.1)
    note = streaming.note_of(7, "tiny", [done], "finished", 3)
    assert words in note["text"]
    assert note["cut"] is cut


def test_a_loading_model_says_what_is_done_and_how_long_it_takes(lab: LabContext) -> None:
    value, *_ = streaming.loading("tiny", 270_000_000)
    assert "270 MB" in value["placeholder"]
    value, *_ = streaming.loading("tiny", 270_000_000, 7.2)
    assert "7 s so far" in value["placeholder"]
    generation.models.unload(lab, "tiny")
    updates = list(streaming.load_and_tell(lab, "tiny"))
    assert updates
    assert generation.models.show(lab, "tiny").status == "loaded"
    assert list(streaming.load_and_tell(lab, "tiny")) == []


def test_a_run_whose_tokens_come_at_once_has_a_speed() -> None:
    done = Completion(0, "abc", tuple(Token(n, "x") for n in range(4)), "length", 2, 1, 0.5, 0.5)
    assert generation.stats_from([done], 512).tokens_per_second == pytest.approx(8.0)


def test_a_drawn_piece_that_is_updated_still_escapes_what_its_second_reading_would_run() -> None:
    """Gradio builds a component anew from its class for every update of a property."""
    with gr.Blocks():
        piece = drawn({}, html_template="{{value.name}}", visible=False)
        again = piece.__class__(**{**piece.constructor_args, "visible": True, "render": False})
    assert again.get_block_name() == "html"
    assert again.postprocess({"name": "${alert(1)}"}) == {"name": r"\${alert(1)}"}
    assert again.preprocess({"name": r"\${a}"}) == {"name": "${a}"}
