"""Dtype and device by measurement: kept by machine, chosen by hand, recorded with runs and used by replays."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError, ModelError
from genai_lab.models import Prompt, Source, speed
from genai_lab.models.speed import Speed, class_of
from genai_lab.services import generation, models
from genai_lab.services.models import measuring, speeds
from genai_lab.services.models.measuring import BackgroundMeasuring
from tests.tiny import open_new, random_model

PROMPT, SAMPLING = Prompt("Once upon a time"), Sampling(max_new_tokens=6, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def opened(tmp_path: Path, folder: Path) -> Iterator[Callable[..., LabContext]]:
    """Opens a lab with the models tiny and twin on this test's home, as often as it is asked to."""
    labs: list[LabContext] = []

    def open_lab(**settings: str) -> LabContext:
        roots = (folder.parent,)
        lab = open_new(Config(home=tmp_path / "home", model_roots=roots, **{"device": "cpu", **settings}))  # type: ignore[arg-type]
        if not labs:
            for name in ("tiny", "twin"):
                models.add(lab, name, Source("local", str(folder)))
        labs.append(lab)
        return lab

    yield open_lab
    for lab in labs:
        lab.close()


@pytest.fixture
def lab(opened: Callable[..., LabContext]) -> LabContext:
    return opened()


def keep(lab: LabContext, name: str, machine: str = "", **written: float) -> None:
    """Stores speeds as a measurement would; each dtype reads 100 tokens a second."""
    figures = tuple(Speed(dtype, "cpu", 100, rate, 1_000_000) for dtype, rate in written.items())
    machine = machine or str(speeds.this_machine())
    size_class = class_of(models.show(lab, name).card)
    speeds.measurements(lab).keep(speeds.Measurement(name, size_class, machine, "2026-11-30T12:00:00", figures))


def dtype_of(lab: LabContext, name: str) -> tuple[str | None, str | None]:
    view = models.show(lab, name)
    return view.card.loaded_dtype, view.dtype_reason


def test_measured_dtype_is_taken_for_the_model_and_for_its_size_class(lab: LabContext) -> None:
    assert dtype_of(lab, "tiny") == ("float32", "default")
    keep(lab, "tiny", float32=10, bfloat16=90, int8=900)
    assert dtype_of(lab, "tiny") == ("bfloat16", "measured")
    assert dtype_of(lab, "twin") == ("bfloat16", "measured")
    assert [speed.dtype for speed in models.show(lab, "tiny").speeds] == ["float32", "bfloat16", "int8"]
    assert models.show(lab, "twin").speeds == (), "what was measured of another model is not shown as its own"
    keep(lab, "twin", float32=10, bfloat16=5)
    assert dtype_of(lab, "twin") == ("float32", "measured")
    assert dtype_of(lab, "tiny") == ("bfloat16", "measured")


def test_figures_of_another_machine_are_kept_but_not_used(lab: LabContext) -> None:
    keep(lab, "tiny", machine="a far machine", float32=10, bfloat16=90)
    assert dtype_of(lab, "tiny") == ("float32", "default")
    keep(lab, "tiny", float32=10, bfloat16=9)
    stored = json.loads((lab.config.home / "speeds.json").read_text())
    assert {item["machine"] for item in stored} == {"a far machine", str(speeds.this_machine())}


def test_broken_file_of_speeds_is_measured_again(lab: LabContext) -> None:
    (lab.config.home / "speeds.json").write_text('[{"model": 1}, ')
    assert dtype_of(lab, "tiny") == ("float32", "default")
    keep(lab, "tiny", float32=10, bfloat16=90)
    assert dtype_of(lab, "tiny") == ("bfloat16", "measured")


def test_choice_stays_with_the_model_and_the_environment_stands_above(opened: Callable[..., LabContext]) -> None:
    lab = opened()
    keep(lab, "tiny", float32=10, bfloat16=90)
    assert models.choose_dtype(lab, "tiny", "int8").card.loaded_dtype == "int8"
    assert dtype_of(lab, "tiny") == ("int8", "chosen")
    assert (models.show(lab, "tiny").card.memory_bytes or 0) > 0
    fixed = opened(dtype="float32")
    assert dtype_of(fixed, "tiny") == ("float32", "set for the lab")
    assert dtype_of(fixed, "twin") == ("float32", "set for the lab")
    again = opened()
    assert dtype_of(again, "tiny") == ("int8", "chosen")
    assert models.choose_dtype(again, "tiny", "auto").dtype_choice is None
    assert dtype_of(again, "tiny") == ("bfloat16", "measured")


def test_dtype_that_this_machine_lacks_is_refused(lab: LabContext) -> None:
    with pytest.raises(BadSetting, match="auto, float32, bfloat16, int8, int4"):
        models.choose_dtype(lab, "tiny", "float16")
    with pytest.raises(ModelError, match="one dtype only"):
        models.choose_dtype(lab, "starter-toxicity", "bfloat16")
    with pytest.raises(ModelError, match="cannot be measured"):
        models.measure(lab, "starter-toxicity")


def test_two_dtypes_are_two_entries_of_one_budget(lab: LabContext) -> None:
    models.load(lab, "tiny")
    models.load(lab, "tiny", "bfloat16")
    state = models.budget(lab)
    assert set(state.loaded) == {"tiny", "tiny (float32, cpu)"}
    assert {entry.dtype for entry in state.loaded.values()} == {"float32", "bfloat16"}
    assert state.used_bytes == sum(entry.memory_bytes for entry in state.loaded.values())
    models.unload(lab, "tiny")
    assert models.budget(lab).loaded == {}


def test_run_records_its_dtype_and_replay_uses_it(lab: LabContext) -> None:
    first = generation.generate(lab, "tiny", PROMPT, SAMPLING)
    assert (first.dtype, first.device) == ("float32", "cpu")
    models.choose_dtype(lab, "tiny", "bfloat16")
    second = generation.generate(lab, "tiny", PROMPT, SAMPLING)
    assert (second.dtype, second.device) == ("bfloat16", "cpu")
    live = generation.replay(lab, first.id)
    live.wait()
    again = generation.run(lab, live.run_id)
    assert again.dtype == "float32"
    assert again.completions[0].text == first.completions[0].text


def test_replay_says_why_the_recorded_dtype_cannot_be_had(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generation.generate(lab, "tiny", PROMPT, SAMPLING)
    models.choose_dtype(lab, "tiny", "bfloat16")
    models.unload(lab, "tiny")
    monkeypatch.setattr(lab.models, "budget_bytes", (models.show(lab, "tiny").card.memory_bytes or 0) + 1)
    with pytest.raises(LabError, match=rf"Run {first.id} was computed in float32 on cpu, .* budget"):
        generation.replay(lab, first.id)


def test_measuring_times_every_dtype_keeps_the_figures_and_frees_what_it_loaded(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    heard: list[str] = []
    view = models.measure(lab, "tiny", tell=heard.append)
    assert heard == ["float32 on cpu", "bfloat16 on cpu", "int8 on cpu", "int4 on cpu"]
    assert [speed.dtype for speed in view.speeds] == ["float32", "bfloat16", "int8", "int4"]
    assert all(speed.read > 0 and speed.written > 0 and speed.memory_bytes for speed in view.speeds)
    assert view.dtype_reason == "measured"
    assert view.card.loaded_dtype in ("float32", "bfloat16")
    assert {state.dtype for state in models.budget(lab).loaded.values()} == {view.card.loaded_dtype}


def test_dtype_that_does_not_fit_is_told_and_the_others_are_measured(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = speeds.placed_card(models.show(lab, "tiny").card, "bfloat16", "cpu")
    monkeypatch.setattr(lab.models, "budget_bytes", (coarse.memory_bytes or 0) + 1)
    view = models.measure(lab, "tiny", packed=False)
    assert [speed.dtype for speed in view.speeds] == ["bfloat16"]
    measurement = speeds.measurements(lab).of_model("tiny")
    assert measurement is not None
    assert "budget" in measurement.refused["float32 on cpu"]


def test_first_model_of_a_class_is_measured_in_the_background_and_no_second(
    lab: LabContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def measure(lab: LabContext, name: str, *, packed: bool, tell: Callable[[str], None]) -> None:
        asked.append((name, packed))
        keep(lab, name, float32=10, bfloat16=90)

    monkeypatch.setattr(measuring, "measure", measure)
    monkeypatch.setattr(measuring, "LOOK", 0.001)
    models.load(lab, "tiny")
    assert lab.find_service(BackgroundMeasuring) is None, "only the app measures by itself"
    models.measure_in_background(lab)
    background = lab.find_service(BackgroundMeasuring)
    assert background is not None
    for name in ("tiny", "twin", "tiny"):
        models.load(lab, name)
    background.wait(30)
    models.load(lab, "twin")
    background.wait(30)
    assert asked == [("tiny", False)]
    assert dtype_of(lab, "twin") == ("bfloat16", "measured")
