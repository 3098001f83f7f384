"""The public API on starter models: keywords in the field's words, objects and names alike, tables and futures."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import genai_lab as gl
from genai_lab.api.base import Table
from genai_lab.api.matrices import _samplings

ROWS = [{"prompt": f"Say {word}.", "answer": word} for word in ("hello", "goodbye", "yes", "no") * 3]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gl.Lab]:
    with gl.open(tmp_path_factory.mktemp("home"), device="cpu") as lab:
        yield lab


def test_importing_the_package_stays_quick() -> None:
    code = (
        "import sys, genai_lab; print(sorted({'numpy', 'pandas', 'sqlalchemy', 'torch', 'gradio'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_public_names_are_found_and_others_are_not() -> None:
    assert {"Lab", "open", "metric", "Sampling", "Template"} <= set(dir(gl))
    assert gl.Sampling(temperature=0.5).temperature == 0.5
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gl.no_such_name


def test_generation_takes_the_fields_names_and_replays(lab: gl.Lab) -> None:
    run = lab.generate("starter-causal", "Once", temperature=0.7, max_new_tokens=6, num_return_sequences=2, seed=3)
    assert len(run.texts) == 2
    assert run.settings["max_new_tokens"] == 6
    assert run.replay().texts == run.texts
    assert lab.run(run.id).text == run.text
    assert json.loads(json.dumps(run.as_dict()))["completions"][0]["text"] == run.text
    assert "tokens" not in run.as_dict()["completions"][0]
    assert lab.generate("starter-causal", "Once", max_new_tokens=2, trace=3).as_dict()["completions"][0]["tokens"]


def test_objects_and_names_mean_the_same_model(lab: gl.Lab) -> None:
    by_name = lab.generate("starter-causal", "Once", greedy=True, max_new_tokens=4)
    by_object = lab.generate(lab.models["starter-causal"], "Once", greedy=True, max_new_tokens=4)
    assert by_name.text == by_object.text


def test_streams_give_text_as_it_comes_and_then_the_run(lab: gl.Lab) -> None:
    stream = lab.stream("starter-causal", "Once", max_new_tokens=5, seed=1)
    text = "".join(stream)
    assert stream.result.text == text
    assert stream.result.id == stream.id


def test_a_conversation_remembers_its_turns(lab: gl.Lab) -> None:
    chat = lab.chat("starter-causal", max_new_tokens=4, seed=1)
    answer = chat.say("Hello")
    chat.say("And now?")
    assert [message["role"] for message in chat.messages] == ["user", "assistant", "user", "assistant"]
    assert chat.messages[1]["content"] == answer.text
    stored = json.loads(json.dumps(chat.as_dict()))
    assert (stored["model"], stored["settings"]["max_new_tokens"]) == ("starter-causal", 4)
    assert stored["messages"] == chat.messages


def test_objects_know_the_address_of_their_page(lab: gl.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENAI_LAB_URL", raising=False)
    run = lab.generate("fake", "Once", max_new_tokens=2)
    data = lab.datasets.load(ROWS, "addressed", roles={"prompt": "prompt", "target": "answer"}, split="none")
    assert run.url.startswith("/")
    assert str(run.id) in run.url
    assert data.url == "/datasets?dataset=addressed%401"
    assert next(node.kind for node in data.lineage().nodes.values()) == "dataset"
    assert f"run {run.id}" in run.lineage().nodes
    campaign = lab.campaigns.create(
        "Which is better?", runs=[run, lab.generate("fake", "Once", max_new_tokens=9, seed=5)], name="addressed"
    )
    assert campaign.url == f"/feedback?campaign={campaign.id}"
    assert f"run {campaign.run_id}" in campaign.lineage().nodes
    with pytest.raises(gl.LabError, match="cannot be replayed"):
        campaign.replay()
    monkeypatch.setenv("GENAI_LAB_URL", "http://127.0.0.1:7860/")
    assert data.url == "http://127.0.0.1:7860/datasets?dataset=addressed%401"


def test_models_are_compared_on_prompts_as_one_group(lab: gl.Lab) -> None:
    runs = lab.compare(["starter-causal", "starter-seq2seq"], ["Once", "Twice"], max_new_tokens=3, seed=2)
    expected = [(model, prompt) for model in ("starter-causal", "starter-seq2seq") for prompt in ("Once", "Twice")]
    assert [(run.model, run.view.prompt.as_text) for run in runs] == expected
    assert len({run.view.group for run in runs}) == 1


def test_datasets_come_from_rows_frames_files_and_starters(lab: gl.Lab, tmp_path: Path) -> None:
    rows = lab.datasets.load(ROWS, "greetings", roles={"prompt": "prompt", "target": "answer"}, split="none")
    assert (len(rows), rows.roles) == (12, {"input": ("prompt",), "reference": ("answer",)})
    frame = lab.datasets.load(
        pd.DataFrame(ROWS), "greetings", roles={"input": "prompt", "reference": "answer"}, split="none"
    )
    assert frame.name == rows.name, "the same rows are kept once"
    (tmp_path / "table.csv").write_text("question,answer\nWho?,Ann\nWhere?,Here\n")
    table = lab.datasets.load(tmp_path / "table.csv", roles={"input": "question"}, split="none")
    assert table.to_pandas()["answer"].tolist() == ["Ann", "Here"]
    starter = lab.datasets.load("starter:sentiment", rows={"train": 4, "validation": 2, "test": 2})
    assert starter.splits == {"train": 4, "validation": 2, "test": 2}
    assert lab.datasets.load("sentiment").name == lab.datasets.load(starter).name == starter.name
    assert rows.split(ratios=(0.5, 0.25, 0.25), seed=1).splits == {"train": 6, "validation": 3, "test": 3}


def test_templates_are_saved_from_text_and_named_by_it(lab: gl.Lab) -> None:
    saved = lab.templates.save("greet", "Say it: {{ input }}", task="other")
    assert lab.templates["greet"].name == saved.name == "greet@1"
    assert lab.templates.name_for("Repeat: {{ input }}") == lab.templates.name_for("Repeat: {{ input }}")
    assert lab.templates.name_for(saved) == "greet@1"


def test_presets_are_settings_under_a_name(lab: gl.Lab) -> None:
    lab.presets.save("short", temperature=0.5, max_new_tokens=3)
    assert lab.generate("starter-causal", "Once", sampling="short", seed=1).settings["max_new_tokens"] == 3
    with pytest.raises(gl.LabError, match="no_preset"):
        lab.presets.get("no_preset")


def test_tables_print_slice_and_become_frames(lab: gl.Lab) -> None:
    models = lab.models.list()
    assert isinstance(models[:2], Table)
    assert "starter-causal" in repr(models)
    assert "<table>" in models._repr_html_()
    assert models.to_pandas()["status"].tolist() == [view.status for view in models]


def test_bad_input_is_one_sentence(lab: gl.Lab) -> None:
    with pytest.raises(gl.LabError, match="Temperature is 9"):
        lab.generate("starter-causal", "Once", temperature=9)
    with pytest.raises(gl.LabError, match="no dataset"):
        lab.datasets["nothing"]
    with pytest.raises(gl.LabError, match="has no name"):
        lab.generate(12, "Once")
    with pytest.raises(gl.LabError, match="Prompt is 5"):
        lab.generate("starter-causal", 5)  # type: ignore[arg-type]
    with pytest.raises(gl.LabError, match="has no setting 'ratio'"):
        lab.datasets.load("starter:sentiment").split("ratio", ratio=(0.5, 0.3, 0.2))


def test_one_temperature_makes_a_matrix_sample() -> None:
    samplings = _samplings(None, (), (), None, {"temperature": 0.7, "top_p": 0.9})  # type: ignore[arg-type]
    assert [(sampling.greedy, sampling.temperature, sampling.top_p) for sampling in samplings] == [(False, 0.7, 0.9)]
    assert [sampling.greedy for sampling in _samplings(None, [], [], None, {})] == [True]  # type: ignore[arg-type]
