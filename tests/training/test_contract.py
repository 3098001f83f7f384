"""What every method and every objective keeps to, on random models of each architecture."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.training import preparation
from genai_lab.training import ARCHITECTURES, Architecture, DatasetSpec, Plan, Training
from genai_lab.training.artefacts import export_best
from genai_lab.training.batches import Collate
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import class_of, load_module, load_tokenizer
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES, Text
from genai_lab.training.training_loop import best_of, prepared, resume, train
from tests.products import representatives
from tests.training.models import TEXTS, Told, kind_of, tiny

USABLE = [name for name in METHODS if name != "qlora"]


def sort_of(method: str) -> str:
    """What kind of method it is: the class that it is made from."""
    return type(METHODS.get(method)).__bases__[0].__name__


PAIRS = [(method, one) for method in USABLE for one in METHODS.get(method).architectures]
OWN: dict[Architecture, str] = {
    "decoder-only": "instruction",
    "encoder-decoder": "instruction",
    "encoder": "classification",
}
TRAINING = Training(
    max_steps=3, per_device_batch_size=4, max_length=48, max_target_length=24, seed=3, validation_rows=6
)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("bases")
    return {kind: tiny(place / kind, kind) for kind in ("llama", "gpt2", "t5", "roberta")}


def work_of(
    bases: dict[str, Path], folder: Path, method: str, architecture: Architecture, objective: str = "", **training: Any
) -> TrainingInputs:
    """A run on TEXTS, written to `folder`."""
    base = bases[kind_of(architecture, method)]
    plan = Plan(
        "base",
        (DatasetSpec("texts@1"),),
        objective or OWN[architecture],
        method,
        training=replace(TRAINING, **training),
    )
    labels = ("colour", "number") if plan.objective == "classification" else ()
    texts = [replace(one, completion=labels[one.row // 18]) if labels else one for one in TEXTS]
    if plan.objective in ("reward", "dpo"):
        texts = [replace(one, rejected=" ".join(reversed(one.completion.split()))) for one in TEXTS]
    if plan.objective in ("clm", "mlm", "span_corruption"):
        texts = [Text(one.prompt + one.completion) for one in TEXTS]
    tokenizer = load_tokenizer(base)
    items = OBJECTIVES.get(plan.objective).items(texts, tokenizer, architecture, plan.training, labels)
    metric = "rouge" if plan.objective == "instruction" else ""
    made = TrainingInputs(
        plan,
        base,
        "base",
        architecture,
        plan.training.max_steps,
        "cpu",
        labels,
        (0, 1),
        scored=(0, 2, 3),
        metric=metric,
    )
    made.write(folder, [items[4:]], items[:4])
    return TrainingInputs.read(folder)


@pytest.mark.parametrize(("method", "architecture"), PAIRS)
def test_a_method_trains_what_it_says_and_its_artefact_says_the_same(
    bases: dict[str, Path], tmp_path: Path, method: str, architecture: Architecture
) -> None:
    work, told = work_of(bases, tmp_path, method, architecture), Told()
    before, *_ = prepared(work, tmp_path)
    outcome = train(work, tmp_path, tmp_path / "out", told)
    assert outcome["steps"] == 3
    assert 0 < outcome["trained"] <= outcome["parameters"]
    assert [step for step, _ in told.metrics["validation loss"]] == [0, 1, 2, 3]
    assert {item["sample"]["place"] for item in told.records if "sample" in item} == {0, 1}
    if work.metric:
        assert [step for step, _ in told.metrics["validation ROUGE-L F1"]] == [0, 1, 2, 3]
        scores = {item["score"]["step"]: item["score"] for item in told.records if "score" in item}
        assert outcome["base"] == scores[0]
        assert outcome["score"] == scores[outcome["best_step"]]
        assert {one["n"] for one in scores.values()} == {3}
    after, *_ = prepared(work, tmp_path)
    best = best_of(tmp_path / "out")
    assert best is not None
    resume(after, work.method, best)
    changed = {name for name, weight in after.named_parameters() if not torch.equal(weight, before.get_parameter(name))}
    trained = {name for name, weight in after.named_parameters() if weight.requires_grad}
    assert changed
    assert changed <= trained
    export_best(work, tmp_path / "out", tmp_path / "artefact")
    assert not list((tmp_path / "artefact").glob("*.bin"))
    if method != "houlsby":
        same_logits(after.eval(), loaded(work, tmp_path / "artefact"), work, tmp_path)


def loaded(work: TrainingInputs, artefact: Path) -> Any:
    """The artefact as transformers and PEFT alone load it."""
    kind = class_of(work.architecture, work.objective.head)
    if (artefact / "config.json").is_file():
        return kind.from_pretrained(artefact, use_safetensors=True).eval()
    from peft import PeftModel

    return PeftModel.from_pretrained(kind.from_pretrained(work.base), artefact).eval()


def same_logits(ours: Any, theirs: Any, work: TrainingInputs, folder: Path) -> None:
    *_, draws, _held = prepared(work, folder)
    tokenizer = load_tokenizer(work.base)
    start = 1 if work.architecture == "encoder-decoder" else None
    batch = Collate(tokenizer.pad_token_id, work.architecture, work.objective.head, start)([draws[0], draws[1]])
    batch.pop("labels")
    with torch.no_grad():
        torch.testing.assert_close(ours(**batch).logits, theirs(**batch).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "architecture"), [(name, one) for name in OBJECTIVES for one in OBJECTIVES.get(name).architectures]
)
def test_an_objective_is_learned_on_every_architecture_that_it_names(
    bases: dict[str, Path], tmp_path: Path, objective: str, architecture: Architecture
) -> None:
    work = work_of(bases, tmp_path, "full", architecture, objective, max_steps=25, learning_rate=1e-2, eval_steps=25)
    told = Told()
    train(work, tmp_path, tmp_path / "out", told)
    first, *_, last = told.metrics["validation loss"]
    assert last[1] < first[1]


def supported() -> list[tuple[str, str, Architecture]]:
    """Each (objective, method, architecture) that goes together and that no other test trains."""
    return [
        (objective, method, architecture)
        for objective in OBJECTIVES
        for method, architecture in PAIRS
        if architecture in OBJECTIVES.get(objective).architectures
        and not preparation.together(objective, method)
        and method != "full"
        and objective != OWN[architecture]
    ]


@pytest.mark.full
@pytest.mark.parametrize(("objective", "method", "architecture"), supported())
def test_every_objective_is_trained_by_every_method(
    bases: dict[str, Path], tmp_path: Path, objective: str, method: str, architecture: Architecture
) -> None:
    work, report = work_of(bases, tmp_path, method, architecture, objective, max_steps=2, eval_steps=2), Told()
    outcome = train(work, tmp_path, tmp_path / "out", report)
    assert outcome["steps"] == 2
    assert [step for step, _ in report.metrics["validation loss"]] == [0, 2]
    export_best(work, tmp_path / "out", tmp_path / "artefact")
    if method != "houlsby":
        loaded(work, tmp_path / "artefact")


def unsupported() -> list[tuple[str, str, Architecture]]:
    """Every (method, objective, architecture) that one of the two does not name, or that do not go together."""
    return [
        (method, objective, one)
        for method in USABLE
        for objective in OBJECTIVES
        for one in ARCHITECTURES
        if one not in METHODS.get(method).architectures
        or one not in OBJECTIVES.get(objective).architectures
        or preparation.together(objective, method)
    ]


@pytest.mark.parametrize(
    ("method", "objective", "architecture"),
    representatives(unsupported(), lambda row: row[0], lambda row: row[1], lambda row: (sort_of(row[0]), row[2])),
)
def test_what_does_not_go_together_is_refused_in_one_sentence(
    lab: LabContext, method: str, objective: str, architecture: Architecture
) -> None:
    model = {"decoder-only": "llama", "encoder-decoder": "t5", "encoder": "roberta"}[architecture]
    parts = (DatasetSpec("pairs", ("plain",)),)
    plan = Plan(model, parts, objective, method, training=TRAINING)
    with pytest.raises(LabError) as caught:
        preparation.known(lab, plan)
    said, titles = str(caught.value), (METHODS.get(method).title, OBJECTIVES.get(objective).title)
    assert any(title in said for title in titles)
    assert f"{model} is {architecture}" in said or "cannot be merged" in said
    assert "\n" not in said
    assert said.count(".") == 1 + sum(title.count(".") for title in titles if title in said)


def test_what_methods_and_objectives_say_of_themselves_is_whole() -> None:
    for family in (METHODS, OBJECTIVES):
        for name in family:
            member: Any = family.get(name)
            assert member.name == name
            assert member.title
            assert member.about.endswith(".")
            assert any(digit.isdigit() for digit in member.source)
            assert set(member.architectures) <= set(ARCHITECTURES)
    assert all(len(METHODS.get(name).about.split("\n")) == 2 for name in METHODS)


def test_tuning_of_a_quantised_base_is_refused_with_its_reason_where_there_is_no_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert "needs a CUDA GPU" in (METHODS.get("qlora").refusal() or "")


def test_a_module_for_each_head_is_loaded_in_float32(bases: dict[str, Path]) -> None:
    module = load_module(bases["roberta"], "encoder", "classify", ("a", "b", "c"))
    assert module.config.num_labels == 3
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
