"""What every method and every objective keeps to, on random models of each architecture."""

import ast
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.training import resolve
from genai_lab.services.training.resolution import exclusion_reason
from genai_lab.training import ARCHITECTURES, Architecture, DatasetSpec, Training, TrainingPlan
from genai_lab.training.artefacts import export_best
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import load_module, load_tokenizer
from genai_lab.training.methods import METHODS
from genai_lab.training.module_kinds import CLASSIFIER
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.training_loop import best_checkpoint, prepare_run, resume, train
from tests.products import representatives
from tests.training.models import TEXTS, Told, encoded, kind_of, tiny

ROOT = Path(__file__).resolve().parents[2]
USABLE = [name for name in METHODS if name != "qlora"]


def sort_of(method: str) -> str:
    """What kind of method it is: the class that it is made from."""
    return type(METHODS.get(method)).__bases__[0].__name__


PAIRS = [(method, architecture) for method in USABLE for architecture in METHODS.get(method).architectures]
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
    folder = tmp_path_factory.mktemp("bases")
    return {kind: tiny(folder / kind, kind) for kind in ("llama", "gpt2", "t5", "roberta")}


def work_of(
    bases: dict[str, Path], folder: Path, method: str, architecture: Architecture, objective: str = "", **training: Any
) -> TrainingInputs:
    """A run on TEXTS, written to `folder`."""
    base = bases[kind_of(architecture, method)]
    plan = TrainingPlan(
        "base",
        (DatasetSpec("texts@1"),),
        objective or OWN[architecture],
        method,
        objective_settings=settings_for(objective or OWN[architecture]),
        training=replace(TRAINING, **training),
    )
    labels = OBJECTIVES.get(plan.objective).sample_labels
    items = encoded(
        texts_for(plan.objective), load_tokenizer(base), architecture, plan.training, plan.objective, labels,
        **plan.objective_settings,
    )  # fmt: skip
    metric = "rouge" if plan.objective == "instruction" else ""
    inputs = TrainingInputs(
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
    inputs.write(folder, [items[4:]], items[:4])
    return TrainingInputs.read(folder)


def settings_for(name: str) -> dict[str, Any]:
    """Short completions are rewarded, where completions are."""
    return {"rewards": ("-1 * length",), "max_completion_length": 8} if OBJECTIVES.get(name).rolls_out else {}


def figures_for(name: str, reporter: Told) -> list[tuple[int, float]]:
    """The curve by which the objective chooses its best checkpoint, such that less is better."""
    objective = OBJECTIVES.get(name)
    sign = -1 if objective.greater_is_better else 1
    return [(step, sign * value) for step, value in reporter.metrics[f"validation {objective.best_figure}"]]


def texts_for(name: str) -> list[Any]:
    """TEXTS as the objective reads them."""
    objective = OBJECTIVES.get(name)
    texts = []
    for text in TEXTS:
        values: dict[str, Any] = {"prompt": text.prompt, "completion": text.completion, "row": text.row}
        if objective.reads_blocks:
            values = {"prompt": text.prompt + text.completion}
        elif objective.sample_labels:
            values["completion"] = objective.sample_labels[text.row // 18]
        values |= {"chosen": text.completion, "rejected": " ".join(reversed(text.completion.split()))}
        values |= {"desirable": text.row % 2 == 0}
        names = {item.name for item in fields(objective.text_type)}
        texts.append(objective.text_type(**{key: value for key, value in values.items() if key in names}))
    return texts


@pytest.mark.parametrize(
    ("method", "architecture"), representatives(PAIRS, lambda pair: pair[0], lambda pair: (sort_of(pair[0]), pair[1]))
)
def test_a_method_trains_what_it_says_and_its_artefact_says_the_same(
    bases: dict[str, Path], tmp_path: Path, method: str, architecture: Architecture
) -> None:
    work, reporter = work_of(bases, tmp_path, method, architecture), Told()
    before = prepare_run(work, tmp_path, tmp_path / "out", reporter).module
    outcome = train(work, tmp_path, tmp_path / "out", reporter)
    assert outcome["steps"] == 3
    assert 0 < outcome["trained"] <= outcome["parameters"]
    assert [step for step, _ in reporter.metrics["validation loss"]] == [0, 1, 2, 3]
    assert {item["sample"]["place"] for item in reporter.records if "sample" in item} == {0, 1}
    if work.metric:
        assert [step for step, _ in reporter.metrics["validation ROUGE-L F1"]] == [0, 1, 2, 3]
        scores = {item["score"]["step"]: item["score"] for item in reporter.records if "score" in item}
        assert outcome["base"] == scores[0]
        assert outcome["score"] == scores[outcome["best_step"]]
        assert {score["n"] for score in scores.values()} == {3}
    after = prepare_run(work, tmp_path, tmp_path / "out", reporter).module
    best = best_checkpoint(tmp_path / "out")
    assert best is not None
    resume(after, work.method, best)
    changed = {name for name, weight in after.named_parameters() if not torch.equal(weight, before.get_parameter(name))}
    trained = {name for name, weight in after.named_parameters() if weight.requires_grad}
    assert changed
    assert changed <= trained
    export_best(work, tmp_path / "out", tmp_path / "artefact")
    assert not list((tmp_path / "artefact").glob("*.bin"))
    if METHODS.get(method).peft_format:
        same_logits(after.eval(), loaded(work, tmp_path / "artefact"), work, tmp_path)


def loaded(work: TrainingInputs, artefact: Path) -> Any:
    """The artefact as transformers and PEFT alone load it."""
    kind = work.objective.module_kind.auto_class(work.architecture)
    if (artefact / "config.json").is_file():
        return kind.from_pretrained(artefact, use_safetensors=True).eval()
    from peft import PeftModel

    return PeftModel.from_pretrained(kind.from_pretrained(work.base), artefact).eval()


def same_logits(ours: Any, theirs: Any, work: TrainingInputs, folder: Path) -> None:
    rows = prepare_run(work, folder, folder / "out", Told()).train
    batch = work.objective.collate([rows[0], rows[1]], rows.context)
    batch.pop("labels")
    with torch.no_grad():
        torch.testing.assert_close(ours(**batch).logits, theirs(**batch).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "architecture"),
    [(name, architecture) for name in OBJECTIVES for architecture in OBJECTIVES.get(name).architectures],
)
def test_an_objective_is_learned_on_every_architecture_that_it_names(
    bases: dict[str, Path], tmp_path: Path, objective: str, architecture: Architecture
) -> None:
    work = work_of(bases, tmp_path, "full", architecture, objective, max_steps=25, learning_rate=1e-2, eval_steps=25)
    reporter = Told()
    train(work, tmp_path, tmp_path / "out", reporter)
    first, *_, last = figures_for(objective, reporter)
    assert last[1] < first[1]


def supported() -> list[tuple[str, str, Architecture]]:
    """Each (objective, method, architecture) that goes together and that no other test trains."""
    return [
        (objective, method, architecture)
        for objective in OBJECTIVES
        for method, architecture in PAIRS
        if architecture in OBJECTIVES.get(objective).architectures
        and not exclusion_reason(objective, method)
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
    assert [step for step, _ in figures_for(objective, report)] == [0, 2]
    export_best(work, tmp_path / "out", tmp_path / "artefact")
    if METHODS.get(method).peft_format:
        loaded(work, tmp_path / "artefact")


def unsupported() -> list[tuple[str, str, Architecture]]:
    """Every (method, objective, architecture) that one of the two does not name, or that do not go together."""
    return [
        (method, objective, item)
        for method in USABLE
        for objective in OBJECTIVES
        for item in ARCHITECTURES
        if item not in METHODS.get(method).architectures
        or item not in OBJECTIVES.get(objective).architectures
        or exclusion_reason(objective, method)
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
    plan = TrainingPlan(model, parts, objective, method, training=TRAINING)
    with pytest.raises(LabError) as caught:
        resolve(lab, plan)
    message, titles = str(caught.value), (METHODS.get(method).title, OBJECTIVES.get(objective).title)
    assert any(title in message for title in titles)
    assert f"{model} is {architecture}" in message or "cannot be merged" in message
    assert "\n" not in message
    assert message.count(".") == 1 + sum(title.count(".") for title in titles if title in message)


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
    module = load_module(bases["roberta"], "encoder", CLASSIFIER, ("a", "b", "c"))
    assert module.config.num_labels == 3
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}


ASKED = {"objective", "method", "module_kind"}
OWNERS = {"objective", "method", "member"}


def is_asked(side: ast.AST) -> bool:
    """Whether it is the name or a marker of an objective or method."""
    if not isinstance(side, ast.Attribute):
        return False
    owner = ast.unparse(side.value)
    named = side.attr == "name" and owner.rpartition(".")[2] in OWNERS
    return named or (side.attr in ASKED and "metric" not in owner.lower())


def questions(path: Path) -> Iterator[str]:
    """Comparisons of what an objective or method is called, and looks at members that they may lack."""
    file = path.relative_to(ROOT)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare) and any(map(is_asked, [node.left, *node.comparators])):
            identity = all(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops)
            yield from [] if identity else [f"{file}:{node.lineno}: {ast.unparse(node)}"]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            owner, name = node.args[:2]
            member = ast.unparse(owner).startswith(("OBJECTIVES", "METHODS"))
            if isinstance(name, ast.Constant) and (member or ast.unparse(owner).rpartition(".")[2] in OWNERS):
                yield f"{file}:{node.lineno}: {ast.unparse(node)}"


def test_nobody_outside_asks_which_objective_or_method_it_is() -> None:
    own_result = (ROOT / "genai_lab/training/objectives", ROOT / "genai_lab/training/methods")
    files = [path for room in ("genai_lab", "pages") for path in (ROOT / room).rglob("*.py")]
    outside = [path for path in files if not any(path.is_relative_to(folder) for folder in own_result)]
    assert [question for path in outside for question in questions(path)] == []


def test_a_method_and_an_objective_of_the_recipes_train_together(bases: dict[str, Path], tmp_path: Path) -> None:
    """docs/how_to/method.md puts modules of its own in and merges them, objective.md has a loss of its own."""
    for recipe in ("method", "objective"):
        text = (ROOT / "docs" / "how_to" / f"{recipe}.md").read_text(encoding="utf-8")
        code = text.partition("```python\n")[2].partition("```")[0]
        exec(compile(code, f"{recipe}.md", "exec"), {"__name__": recipe})
    try:
        work, reporter = work_of(bases, tmp_path, "norm_factors", "decoder-only", "focal"), Told()
        outcome = train(work, tmp_path, tmp_path / "out", reporter)
        assert outcome["steps"] == 3
        assert 0 < outcome["trained"] < outcome["parameters"]
        export_best(work, tmp_path / "out", tmp_path / "artefact")
        after = prepare_run(work, tmp_path, tmp_path / "out", reporter).module
        best = best_checkpoint(tmp_path / "out")
        assert best is not None
        resume(after, work.method, best)
        same_logits(after.eval(), loaded(work, tmp_path / "artefact"), work, tmp_path)
    finally:
        METHODS.drop("norm_factors")
        OBJECTIVES.drop("focal")
