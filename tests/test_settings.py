"""Settings are declared once: names old and new, types, ranges, nested settings, text of a command line."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError, UnknownSetting
from genai_lab.prompts.few_shot import ShotSettings
from genai_lab.settings import (
    as_mapping,
    check_settings,
    fields_of,
    parse_setting,
    present_names,
    read_settings,
    setting,
)


@dataclass(frozen=True)
class Source:
    dataset: str = setting(help="Its name.")
    weight: float = setting(1.0, "How often it is drawn.", 0)
    templates: tuple[str, ...] = setting((), "Its templates.", renamed_from=("template",))

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Run:
    sources: tuple[Source, ...] = setting((), "What is read.")
    steps: int = setting(300, "How long.", 1, 10_000, renamed_from=("max_steps",))
    rate: float | None = setting(None, "Empty: what suits.", 1e-8, 10.0)
    objective: str = setting("clm", "What is learned.", choices=("clm", "mlm"), renamed_values={"causal": "clm"})
    schedule: Literal["cosine", "linear"] = setting("cosine", "How the rate falls.")
    shuffled: bool = setting(True, "In another order each pass.", opposite_of=("in_order",))
    extra: dict[str, Any] = setting(factory=dict, help="Further settings.")
    plain: int = 3

    def __post_init__(self) -> None:
        check_settings(self)


def test_a_mapping_becomes_settings_whatever_its_names_and_numbers() -> None:
    values = {
        "sources": [{"dataset": "pairs", "template": "plain"}],
        "max_steps": 20.0,
        "objective": "causal",
        "in_order": True,
    }
    run = read_settings(Run, values, "training")
    assert run == Run((Source("pairs", 1.0, ("plain",)),), 20, objective="clm", shuffled=False)
    assert read_settings(Run, as_mapping(run), "training") == run
    assert present_names(Run, {"max_steps": 4, "objective": "causal"}) == {"steps": 4, "objective": "clm"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 3}, "Training has no setting 'stepz'; did you mean 'steps'?"),
        ({"max_step": 3}, "Training has no setting 'max_step'; did you mean 'steps'?"),
        ({5: 3}, "Training has no setting '5'; it has sources, steps, rate,"),
        ({"steps": 3, "max_steps": 4}, "Max steps of training is 4, but it must be left out, since steps is the same"),
        ({"steps": 0}, "Steps of training is 0, but it must be a whole number from 1 to 10,000."),
        ({"steps": 1.5}, "Steps of training is 1.5, but it must be a whole number from 1 to 10,000."),
        ({"steps": True}, "Steps of training is True, but it must be a whole number"),
        ({"steps": None}, "Steps of training is None, but it must be a whole number"),
        ({"rate": float("nan")}, "Rate of training is nan, but it must be a number from 1e-08 to 10."),
        ({"objective": "dpo"}, "Objective of training is 'dpo', but it must be one of clm, mlm."),
        ({"schedule": "steps"}, "Schedule of training is 'steps', but it must be one of cosine, linear."),
        ({"shuffled": 1}, "Shuffled of training is 1, but it must be true or false."),
        ({"extra": [1]}, "Extra of training is [1], but it must be settings whose names are text."),
        ({"sources": 4}, "Sources of training is 4, but it must be a list."),
        ({"sources": [{"dataset": 4}]}, "Dataset of sources of training is 4, but it must be text"),
        ({"sources": [{}]}, "Dataset of sources of training is None, but it must be given"),
        ({"sources": [{"dataset": "a", "weight": -1}]}, "must be a number of at least 0."),
        ([3], "Training is [3], but it must be a mapping of settings."),
    ],
)
def test_what_is_wrong_is_one_sentence(values: Any, message: str) -> None:
    with pytest.raises(BadSetting) as caught:
        read_settings(Run, values, "training")
    assert message in str(caught.value)


def test_text_of_a_command_line_becomes_the_fields_type() -> None:
    texts = {"steps": "20", "rate": "2e-4", "shuffled": "no", "objective": "causal", "plain": "4"}
    assert {name: parse_setting(Run, name, text) for name, text in texts.items()} == {
        "steps": 20, "rate": 2e-4, "shuffled": False, "objective": "clm", "plain": 4,
    }  # fmt: skip
    assert parse_setting(Run, "rate", "") is None
    assert parse_setting(ShotSettings, "fixed", "3, 5") == (3, 5)
    for name, text in {"steps": "many", "shuffled": "perhaps"}.items():
        with pytest.raises(BadSetting, match=text):
            parse_setting(Run, name, text)
    with pytest.raises(UnknownSetting, match="did you mean 'shuffled'"):
        parse_setting(Run, "shufled", "no")


def test_fields_tell_forms_and_options_what_they_need() -> None:
    existing = {item.name: item for item in fields_of(Sampling)}
    assert (existing["num_beams"].label, existing["top_k"].label) == ("Beams", "Top-k")
    assert existing["num_beams"].rule == "a whole number from 1 to 16"
    assert existing["seed"].optional
    assert (existing["stop"].base, existing["stop"].items) == (tuple, str)
    assert fields_of(Run)[4].choices == ("cosine", "linear")


def test_dataclasses_without_metadata_are_settings_too() -> None:
    @dataclass(frozen=True)
    class Bare:
        size: int = 3
        names: tuple[str, ...] = field(default=())

    assert read_settings(Bare, {"size": 4, "names": ["a"]}) == Bare(4, ("a",))


OLD = {"temperature": 0.5, "beams": 3, "no_repeat_ngram": 2, "num_completions": 2, "stop": ["x"], "seed": 4}


def test_sampling_reads_old_names_and_those_of_transformers() -> None:
    new = Sampling(temperature=0.5, num_beams=3, no_repeat_ngram_size=2, num_return_sequences=2, stop=("x",), seed=4)
    assert Sampling.from_dict(OLD) == new
    assert Sampling.from_dict({"do_sample": False, "stop_strings": "x"}) == Sampling(greedy=True, stop=("x",))
    assert Sampling.from_dict(new.as_dict()) == new
    with pytest.raises(LabError, match="did you mean 'num_beams'"):
        Sampling.from_dict({"num_beam": 3})


def test_a_remembered_completion_is_found_after_settings_are_renamed() -> None:
    from genai_lab.services.matrix.predicting import FIRST_NAMES

    stored = {FIRST_NAMES.get(name, name): value for name, value in Sampling().as_dict().items()}
    assert set(stored) == {
        "max_new_tokens", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty",
        "no_repeat_ngram", "beams", "num_completions", "greedy", "stop", "seed",
    }  # fmt: skip
