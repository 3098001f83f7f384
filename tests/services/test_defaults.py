"""A model starts from the settings that its authors ship, the lab's where they state none, and what is chosen wins."""

import json
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import CHAT_TOKENS, Sampling
from genai_lab.errors import BadSetting
from genai_lab.models.generation_config import generation_settings
from genai_lab.services import defaults
from tests.services.conftest import Call


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"bos_token_id": 1, "eos_token_id": [1, 2], "use_cache": True}, {}),
        (
            {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_length": 4096},
            {"greedy": False, "temperature": 0.6, "top_p": 0.9},
        ),
        (
            {"do_sample": True, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05, "max_new_tokens": 2048},
            {
                "greedy": False,
                "temperature": 1.0,
                "top_p": 0.8,
                "top_k": 20,
                "repetition_penalty": 1.05,
                "max_new_tokens": 2048,
            },
        ),
        ({"do_sample": False, "no_repeat_ngram_size": 3}, {"greedy": True, "no_repeat_ngram_size": 3}),
        ({"temperature": 0.0}, {"greedy": True}),
        ({"num_beams": 4}, {"num_beams": 4, "greedy": True}),
        ({"min_p": 0.05}, {"greedy": False, "min_p": 0.05, "temperature": 1.0}),
        (
            {"stop_strings": "###", "top_k": 5000.0},
            {"stop": ("###",), "top_k": 1000, "greedy": False, "temperature": 1.0},
        ),
        ({"temperature": "hot", "top_k": -1, "top_p": True, "num_beams": 1.5, "stop_strings": [1]}, {}),
        ({"repetition_penalty": 10**400, "typical_p": 7, "min_p": [0.1]}, {}),
    ],
)
def test_what_a_file_states_is_read_and_what_no_setting_can_be_is_passed_over(
    stated: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps(stated))
    assert generation_settings(tmp_path) == expected
    Sampling(**expected)


def test_an_encoder_decoders_length_is_that_of_its_completion(tmp_path: Path) -> None:
    path = tmp_path / "generation_config.json"
    path.write_text('{"max_length": 142, "num_beams": 4}')
    assert generation_settings(tmp_path, encoder_decoder=True) == {
        "max_new_tokens": 142,
        "num_beams": 4,
        "greedy": True,
    }
    path.write_text('{"max_length": 20}')
    assert generation_settings(tmp_path, encoder_decoder=True) == {}


@pytest.mark.parametrize("text", ["", "[]", "{", "\0", '{"temperature": NaN}'])
def test_a_damaged_file_states_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text(text)
    assert generation_settings(tmp_path) == generation_settings(tmp_path / "none") == generation_settings(None) == {}


@pytest.fixture
def stated(tiny_folder: Path) -> Any:
    """The tiny model with sampling settings of its own, for one test."""
    path = tiny_folder / "generation_config.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {"do_sample": True, "temperature": 0.3, "top_k": 7}))
    yield
    path.write_text(before)


def test_the_models_own_settings_are_marked(lab: LabContext, stated: None) -> None:
    result = defaults.defaults(lab, "tiny")
    assert (result.sampling.temperature, result.sampling.top_k) == (0.3, 7)
    assert result.own == {"greedy", "temperature", "top_k"}
    assert result.origin("top_k") == "the model's own"
    assert result.origin("top_p") == "the lab's default"


def test_a_chat_may_be_long_and_leaves_half_of_the_context_to_the_prompt(lab: LabContext) -> None:
    assert defaults.defaults(lab, "tiny").sampling.max_new_tokens == 256 < CHAT_TOKENS
    assert defaults.defaults(lab, "tiny", "completion").sampling == Sampling()
    assert defaults.defaults(lab, "starter-causal").sampling == Sampling()


def test_what_is_chosen_wins_over_what_the_model_states(lab: LabContext, stated: None, tiny_folder: Path) -> None:
    result = defaults.sampling_for(lab, "tiny", {"top_k": 3, "seed": 5})
    assert (result.temperature, result.top_k, result.seed) == (0.3, 3, 5)
    (tiny_folder / "generation_config.json").write_text('{"do_sample": false}')
    assert defaults.sampling_for(lab, "tiny", {"seed": 5}).greedy
    assert not defaults.sampling_for(lab, "tiny", {"temperature": 0.5}).greedy
    with pytest.raises(BadSetting, match="has no setting 'heat'"):
        defaults.sampling_for(lab, "tiny", {"heat": 1})
    with pytest.raises(BadSetting, match=r"Temperature is 10+…, but it must be a number"):
        defaults.sampling_for(lab, "tiny", {"temperature": 10**400})


def test_the_command_line_starts_from_the_models_own_settings(lab: LabContext, stated: None, call: Call) -> None:
    message = ("generate", "--model", "tiny", "--prompt", "Once", "--max-new-tokens", "2", "--json")
    assert {**json.loads(call(*message)[1])["sampling"], "seed": 0} == {
        **Sampling(max_new_tokens=2, temperature=0.3, top_k=7, seed=0).as_dict()
    }
    assert json.loads(call(*message, "--greedy", "--top-k", "0", "--stop", "x")[1])["sampling"]["stop"] == ["x"]
