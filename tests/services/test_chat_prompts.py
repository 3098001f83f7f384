"""A chat's prompt is what was asked, in campaigns and for reward models; its model's template is no part of it."""

from genai_lab.context import LabContext
from genai_lab.data.conversations import Message, read_cell
from genai_lab.decoding import Sampling
from genai_lab.models import Prompt
from genai_lab.services import generation
from genai_lab.services.feedback import sources
from genai_lab.services.packing import asked_of
from storage import runs

HI = Prompt(messages=({"role": "user", "content": "Hi"},), mode="chat")


def test_a_message_stands_alone_and_a_conversation_with_its_roles() -> None:
    assert HI.as_text == "Hi"
    assert Prompt("Once").as_text == "Once"
    system = Prompt(messages=({"role": "system", "content": "Be kind."}, *HI.messages), mode="chat")
    assert system.as_text == "Be kind.\n\nHi"
    turns = Prompt(messages=(*HI.messages, {"role": "assistant", "content": "Hello"}, *HI.messages), mode="chat")
    assert read_cell(turns.as_text) == tuple(Message(message["role"], message["content"]) for message in turns.messages)
    assert asked_of({}, "rendered") == asked_of({"prompt": {"mode": "completion", "messages": []}}, "rendered")


def test_models_of_different_templates_answer_one_item(lab: LabContext) -> None:
    jobs = [
        generation.GenerationSpec(name, HI, Sampling(max_new_tokens=6, seed=1)) for name in ("tiny", "starter-causal")
    ]
    lives = generation.start_many(lab, jobs)
    for live in lives:
        live.wait()
    assert len({live.rendered for live in lives}) == 2
    with lab.database.reading() as session:
        stored_runs = [run for live in lives if (run := runs.run_with_all(session, live.run_id))]
    tasks, _ = sources._tasks(lab, stored_runs)
    assert [(task.prompt, len(task.options)) for task in tasks] == [("Hi", 2)]
