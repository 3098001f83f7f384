"""Runs of the lab: begun with their lineage, made into models, named, cloned, merged, exported."""

import json
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from genai_lab.cli import parser
from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import DuplicateName, LabError
from genai_lab.models import Prompt, Source
from genai_lab.services import generation, models, training
from genai_lab.services.training import batch_preview, plan_diff, preparation, resolution, resolve
from genai_lab.training import DatasetSpec, Training, TrainingPlan
from genai_lab.training.loading import load_tokenizer
from genai_lab.training.methods import METHODS
from storage.tables import Run

Done = Callable[[int], Any]
PAIRS = DatasetSpec("pairs", ("plain", "answer-question"))
TRAINING = Training(
    max_steps=4, per_device_batch_size=4, max_length=64, max_target_length=24, seed=3, validation_rows=6, eval_steps=2
)
LORA = TrainingPlan("t5", (PAIRS,), method="lora", training=TRAINING)
GREEDY = Sampling(greedy=True, max_new_tokens=6)


def test_a_run_becomes_a_model_that_knows_everything_it_came_from(lab: LabContext, finish_job: Done) -> None:
    started_run = training.start(lab, LORA, name="taught", title="First", tags=["small", " small "])
    assert models.show(lab, "taught").status == "training"
    with pytest.raises(LabError, match="taught is training"):
        models.load(lab, "taught")
    finish_job(started_run.job_id)
    view = training.show(lab, started_run.run_id)
    assert (view.status, view.model, view.title) == ("finished", "taught", "First")
    roles = {role: name for role, name, _ in view.inputs}
    assert roles == {
        "base": "t5", "dataset 1": "pairs@1", "template 1.1": "plain@1", "template 1.2": "answer-question@1"
    }  # fmt: skip
    assert all(hash for _, _, hash in view.inputs)
    assert view.plan.data[0].dataset == "pairs@1"
    assert view.outcome["steps"] == 4
    assert view.outcome["foreseen"] > 0
    model = models.show(lab, "taught")
    assert (model.status, model.card.source.base, model.made_by_run) == ("ready", "t5", started_run.run_id)
    run = generation.generate(lab, "taught", Prompt("red and two", mode="text-to-text"), GREEDY)
    assert run.status == "finished"
    steps = {sample["step"] for sample in training.samples(lab, started_run.run_id)}
    assert steps == {0, 2, 4}
    assert set(training.curves(lab, view)) >= {"training loss", "validation loss", "learning rate", "gradient norm"}
    assert model.card.path is not None
    card = (model.card.path / "README.md").read_text()
    assert "pairs@1" in card
    assert "Hu et al., 2022" in card
    with pytest.raises(LabError, match=r"does not end in \.zip"):
        training.export(lab, started_run.run_id, model.card.path / "taught.tar")
    with zipfile.ZipFile(training.export_file(lab, started_run.run_id)) as archive:
        assert any(name.endswith("adapter_model.safetensors") for name in archive.namelist())


def test_an_adapter_is_merged_into_a_model_that_says_the_same(lab: LabContext, finish_job: Done) -> None:
    started_run = training.start(lab, LORA, name="for merging")
    finish_job(started_run.job_id)
    merged = training.merge(lab, "for merging", "merged")
    finish_job(merged.job_id)
    view = models.show(lab, "merged")
    assert (view.status, view.card.source.backend) == ("ready", "local")
    texts = [
        generation.generate(lab, name, Prompt("red and two", mode="text-to-text"), GREEDY).completions[0].text
        for name in ("for merging", "merged")
    ]
    assert texts[0] == texts[1]
    with pytest.raises(LabError, match="is not an adapter"):
        training.merge(lab, "merged")


def test_a_run_that_was_ended_can_be_kept_from_its_best_checkpoint_or_go_on(
    lab: LabContext, finish_job: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genai_lab.training.trainers.tokens import TokenTrainer as Loop

    started_run = training.start(lab, replace(LORA, method="full"), name="ended")
    sound = Loop.training_step

    def ending(self: Any, *values: Any) -> Any:
        if self.state.global_step == 3:
            raise LabError("ended here")
        return sound(self, *values)

    monkeypatch.setattr(Loop, "training_step", ending)
    with pytest.raises(LabError, match="ended here"):
        finish_job(started_run.job_id)
    assert models.show(lab, "ended").status == "failed"
    finish_job(training.keep(lab, started_run.run_id))
    assert models.show(lab, "ended").status == "ready"
    outcome = training.show(lab, started_run.run_id).outcome
    assert (outcome["step"], outcome["best_step"], outcome["steps"]) == (2, 2, 2)
    assert outcome["best_loss"] > 0
    assert outcome["bytes"] > 0
    assert outcome["rows"] > 0
    with pytest.raises(LabError, match="has made ended already"):
        training.resume(lab, started_run.run_id)


def test_two_launches_at_once_make_two_models(lab: LabContext) -> None:
    first, second = (training.start(lab, LORA) for _ in range(2))
    assert first.model != second.model
    with pytest.raises(DuplicateName):
        training.start(lab, LORA, name=first.model)
    with lab.database.reading() as session:
        recorded = session.get_one(Run, first.run_id)
    assert (recorded.device, recorded.dtype) == ("cpu", "float32")
    for item in (first, second):
        training.cancel(lab, item.run_id)


def test_launches_without_a_name_at_the_same_moment_all_begin(lab: LabContext) -> None:
    from concurrent.futures import ThreadPoolExecutor

    ready = training.check(lab, LORA)
    with ThreadPoolExecutor(4) as pool:
        started_run = list(pool.map(lambda _: training.start(lab, ready), range(4)))
    assert len({item.model for item in started_run}) == 4
    for entry in started_run:
        training.cancel(lab, entry.run_id)


@pytest.mark.parametrize(
    ("kind", "message"), [("PROMPT_TUNING", "a soft prompt is read before"), ("HOULSBY", "layers of their own")]
)
def test_an_adapter_that_no_weight_can_take_in_is_not_merged(
    lab: LabContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    base = models.show(lab, "t5")
    card = replace(base.card, name="soft", path=tmp_path, source=Source("adapter", str(tmp_path), base="t5"))
    displayed = models.show
    monkeypatch.setattr(
        models, "show", lambda lab, name: replace(base, card=card) if name == "soft" else displayed(lab, name)
    )
    before = len(models.catalogue(lab))
    with pytest.raises(LabError, match=f"soft cannot be merged into t5: .*{message}"):
        training.merge(lab, "soft")
    assert len(models.catalogue(lab)) == before


def test_the_command_says_all_that_the_form_says(lab: LabContext) -> None:
    line = plan_diff.command(lab, "plan.yaml", "a b", "Title's", ["one", " "], [7])
    arguments = shlex.split(line)
    home = str(lab.config.home)
    assert arguments[:4] == ["python", "-m", "genai_lab", "train"]
    options = parser().parse_args(arguments[3:])
    assert (str(options.home), options.name, options.title) == (home, "a b", "Title's")
    assert (options.tag, options.gate, options.wait) == (["one"], [7], True)


def test_runs_are_named_tagged_and_told_apart(lab: LabContext) -> None:
    started_run = [training.start(lab, replace(LORA, method=name)) for name in ("lora", "ia3")]
    view = training.rename(lab, started_run[0].run_id, "A better title", ["one", "two", "one", ""])
    assert (view.title, view.tags) == ("A better title", ("one", "two"))
    differences = plan_diff.differences([training.show(lab, item.run_id) for item in started_run])
    assert differences == [("method", ["lora", "ia3"])]
    for entry in started_run:
        training.cancel(lab, entry.run_id)


def test_a_run_that_was_stored_with_the_names_of_before_still_opens(lab: LabContext) -> None:
    started_run = training.start(lab, LORA, name="of before")
    training.cancel(lab, started_run.run_id)
    old = {
        "model": "t5",
        "data": [{"dataset": "pairs@1", "templates": ["plain"], "weight": 1.0}],
        "method": "bottleneck",
    }
    old |= {"training": {"steps": 4, "batch": 2, "evaluate_every": 2, "clip": 0.0}}
    with lab.database.session() as session:
        run = session.get_one(Run, started_run.run_id)
        run.settings = run.settings | {"plan": old}
    view = training.show(lab, started_run.run_id)
    assert (view.plan.method, view.method) == ("houlsby", METHODS.get("houlsby").title)
    assert (view.plan.training.per_device_batch_size, view.plan.training.eval_steps) == (2, 2)
    assert started_run.run_id in [item.id for item in training.find(lab)]


BAD_RUNS: dict[str, tuple[dict[str, Any], str]] = {
    "no such model": ({"model": "nobody"}, "no model called 'nobody'"),
    "no such dataset": ({"data": (DatasetSpec("nothing"),)}, "no dataset 'nothing'"),
    "no such template": ({"data": (DatasetSpec("pairs", ("nothing",)),)}, "nothing"),
    "no template": ({"data": (DatasetSpec("pairs"),)}, "has no template; choose at least one"),
    "no such validation split": ({"validation_split": "nowhere"}, "has no rows for nowhere to validate on"),
    "names are numbers": ({"method": "pattern", "method_settings": {"names": 5}}, "must be a list of texts"),
    "no such split": ({"split": "holdout"}, "has no rows for holdout"),
    "wrong objective": ({"objective": "clm"}, "for decoder-only models, and t5 is encoder-decoder"),
    "wrong method": ({"model": "llama", "method": "bitfit"}, "finds nothing to train in this model"),
    "unknown setting": ({"method_settings": {"depth": 3}}, "LoRA has no setting 'depth'"),
    "setting out of range": ({"method_settings": {"rank": 0}}, "Rank of LoRA is 0"),
    "longer than the context": ({"training": replace(TRAINING, max_length=5000)}, "Max length is 5000"),
    "all rows too long": ({"training": replace(TRAINING, max_length=8)}, "All rows are longer than 8 tokens"),
    "all completions too long": (
        {"training": replace(TRAINING, max_target_length=4)},
        "All completions are longer than 4 .* raise the target length",
    ),
    "float16 on a CPU": ({"training": replace(TRAINING, precision="float16")}, "where there is no GPU"),
    "quantised on a CPU": ({"method": "qlora"}, "needs a CUDA GPU"),
    "more processes than cores": (
        {"training": replace(TRAINING, processes=64)},
        "Processes is 64, .* as there are cores",
    ),
    "sharded by whole weights": (
        {"method": "adalora", "training": replace(TRAINING, processes=2, sharding="weights")},
        "Sharding is 'weights', but it must be none for AdaLoRA",
    ),
    "a prefix beside the context": (
        {"method": "prefix_tuning", "training": replace(TRAINING, max_length=1020)},
        "beside 20 virtual tokens",
    ),
    "more memory than there is": (
        {"training": replace(TRAINING, per_device_batch_size=4096, max_length=512)},
        "of memory",
    ),
}


@pytest.mark.parametrize("case", BAD_RUNS)
def test_a_run_that_cannot_work_is_refused_in_one_sentence(
    lab: LabContext, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, message = BAD_RUNS[case]
    monkeypatch.setattr(resolution, "cores", lambda: 2)
    if case == "more memory than there is":
        monkeypatch.setattr("genai_lab.services.training.estimates.machine_memory", lambda: 50_000_000)
    before = len(training.find(lab))
    with pytest.raises(LabError, match=message) as caught:
        training.start(lab, replace(LORA, **options))
    assert "\n" not in str(caught.value)
    assert len(training.find(lab)) == before


def test_rows_without_what_is_learned_are_refused_or_counted(lab: LabContext) -> None:
    from genai_lab.services import datasets

    def keep(result: list[dict[str, str]], name: str, **roles: list[str]) -> None:
        datasets.import_rows(lab, result, name, {"kind": "test"}, mapping=roles, split=SplitPlan(only="train"))

    rows = [{"ask": f"row {n}", "answer": "" if n % 2 else "x"} for n in range(20)]
    both = {"input": ["ask"], "reference": ["answer"]}
    keep(rows, "half empty", **both)
    plan = replace(LORA, data=(DatasetSpec("half empty", ("plain",)),), split="train")
    resolved = resolve(lab, plan)
    result = preparation.prepare(resolved, load_tokenizer(resolved.folder))
    assert result.left_out > 0
    assert 0 < len(result.left_rows) <= 5
    assert all(number % 2 == 0 for number in result.left_rows)  # counted from 1, every second row has no answer
    assert result.rows + len(result.validation) <= 20
    keep([{"ask": "a", "answer": ""} for _ in range(9)], "empty", **both)
    with pytest.raises(LabError, match=r"None of the .* rows of empty@1 has anything to learn"):
        training.start(lab, replace(plan, data=(DatasetSpec("empty", ("plain",)),)))
    keep(rows[:2], "tiny", **both)
    with pytest.raises(LabError, match="has 2 rows for train; training needs 4"):
        training.start(lab, replace(plan, data=(DatasetSpec("tiny", ("plain",)),)))
    keep(rows, "asked only", input=["ask"])
    with pytest.raises(LabError, match="no column for the role reference"):
        training.start(lab, replace(plan, data=(DatasetSpec("asked only", ("plain",)),)))
    item = [{"ask": f"row {n}", "kind": "same"} for n in range(9)]
    keep(item, "one class", input=["ask"], label=["kind"])
    with pytest.raises(LabError, match="All rows have one class"):
        training.start(
            lab, TrainingPlan("roberta", (DatasetSpec("one class"),), "classification", "full", training=TRAINING)
        )


def test_a_base_that_was_archived_or_is_gone_is_told(lab: LabContext) -> None:
    models.archive(lab, "llama")
    with pytest.raises(LabError, match="llama is archived: restore it"):
        training.start(lab, replace(LORA, model="llama"))
    models.restore(lab, "llama")


def test_the_first_batch_shows_what_is_learned(lab: LabContext) -> None:
    preview = batch_preview.first_batch(lab, LORA)
    assert len(preview.rows) == 4
    assert all({kind for _, kind in row.target} == {"trained"} for row in preview.rows)
    assert all({kind for _, kind in row.tokens} <= {"read", "padded"} for row in preview.rows)
    line = batch_preview.first_batch(lab, replace(LORA, model="llama"))
    learned = ["".join(text for text, kind in row.tokens if kind == "trained") for row in line.rows]
    assert [text.replace(" ", "") for text in learned] == [row.label.replace(" ", "") for row in line.rows]
    masked = TrainingPlan("roberta", (DatasetSpec("pairs"),), "mlm", "full", training=TRAINING)
    kinds = {kind for row in batch_preview.first_batch(lab, masked).rows for _, kind in row.tokens}
    assert "masked" in kinds
    spans = batch_preview.first_batch(
        lab, replace(LORA, data=(DatasetSpec("pairs"),), objective="span_corruption", method="full")
    )
    assert all(any(kind == "corrupted" for _, kind in row.tokens) for row in spans.rows)


def test_runs_are_listed_in_queries_that_do_not_grow_with_them(lab: LabContext) -> None:
    def queries() -> int:
        count = 0

        def counted(*_: Any) -> None:
            nonlocal count
            count += 1

        event.listen(Engine, "before_cursor_execute", counted)
        try:
            training.find(lab)
        finally:
            event.remove(Engine, "before_cursor_execute", counted)
        return count

    started = [training.start(lab, LORA)]
    before = queries()
    started += [training.start(lab, LORA) for _ in range(3)]
    assert queries() == before
    for run in started:
        training.cancel(lab, run.run_id)
