"""The jobs "train", "keep" and "merge": a model made by fine-tuning, from a checkpoint, or from an adapter."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.alignment.records import EVALUATIONS, ROLLOUTS
from genai_lab.context import LabContext
from genai_lab.files import write_json
from genai_lab.models import BACKENDS, Card, Source
from genai_lab.services import jobs, models
from genai_lab.services.jobs.handlers.protocol import HANDLERS, JobReporter
from genai_lab.services.training import KEEP, MERGE, TRAIN, folder_of, makes_adapter, resolve, rollouts_folder
from genai_lab.services.training.preparation import prepare
from genai_lab.services.training.resolution import device_of, sources_of
from genai_lab.training import TrainingPlan, architecture_of
from genai_lab.training.completion_scores import metric_for, rows_for
from genai_lab.training.inputs import FILE, SAMPLES, TrainingInputs
from genai_lab.training.objective import FinishedRun
from storage import evaluation as queries
from storage import models as model_queries
from storage.tables import Job, Run

COUNTS = "counts.json"


class Train:
    name = TRAIN
    title = "Training"
    page = "/finetune"
    resource = "device"

    def gpus(self, settings: dict[str, Any]) -> int:
        """One per process."""
        return TrainingPlan.from_dict(settings["plan"]).training.processes

    def run(self, lab: LabContext, settings: dict[str, Any], reporter: JobReporter) -> dict[str, Any]:
        from genai_lab.training.processes import run

        for item in reporter.earlier():
            if "made" in item:
                return dict(item["made"])
        plan = TrainingPlan.from_dict(settings["plan"])
        folder, out = reporter.folder / "work", reporter.folder / "out"
        counts = _write_inputs(lab, plan, folder, reporter)
        inputs = TrainingInputs.read(folder)
        noting = _NotingReporter(reporter)
        estimated = _estimated_peak(inputs, folder)
        outcome = run(inputs, folder, out, noting)
        reporter.progress(inputs.steps, inputs.steps, "Writing the model")
        card, step = export_model(lab, plan, inputs, out, settings)
        result = {
            "report": _report(lab, plan, inputs, out, card, reporter),
            "model": settings["model"],
            "card": _card_fields(card),
            "outcome": outcome | counts | {"step": step, "bytes": card.disk_bytes, "foreseen": estimated},
            "notes": noting.notes,
        }
        keep_rollouts(lab, settings["run"], out)
        reporter.record({"key": "made", "made": result})
        for path in (out, folder):
            shutil.rmtree(path, ignore_errors=True)  # the model is written; checkpoints are of no more use
        return result

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """Samples as completions of the run, and what its completions are worth."""
        samples = [item["sample"] for item in items if "sample" in item]
        queries.add_generations(session, [(job.run_id or 0, _generation(sample)) for sample in samples])
        if scores := {str(item["score"]["step"]): item["score"] for item in items if "score" in item}:
            run = session.get_one(Run, job.run_id)
            run.settings = run.settings | {"scores": run.settings.get("scores", {}) | scores}

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        _complete_model(session, result)
        run = session.get_one(Run, job.run_id)
        run.seconds = result["outcome"]["seconds"]


class Keep:
    name = KEEP
    title = "Model from a checkpoint"
    page = "/finetune"
    resource = "device"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], reporter: JobReporter) -> dict[str, Any]:
        from genai_lab.training.training_loop import progress_of

        folder = jobs.folder(lab, settings["job"])
        inputs = TrainingInputs.read(folder / "work")
        card, step = export_model(lab, inputs.plan, inputs, folder / "out", settings)
        outcome = progress_of(folder / "out") | {"step": step, "bytes": card.disk_bytes}
        counts = json.loads((folder / "work" / COUNTS).read_text())
        return {"model": settings["model"], "card": _card_fields(card), "outcome": outcome | counts}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        return

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """The outcome belongs to the run's own job, which has none."""
        _complete_model(session, result)
        session.get_one(Job, job.settings["job"]).result = {"outcome": result["outcome"]}


class Merge:
    name = MERGE
    title = "Merge"
    page = "/models"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], reporter: JobReporter) -> dict[str, Any]:
        from genai_lab.training.artefacts import merge

        adapter, base = models.show(lab, settings["adapter"]).card, models.show(lab, settings["base"]).card
        assert adapter.path is not None
        assert base.path is not None
        folder = folder_of(lab, settings["model"], settings["run"])
        difference = merge(base.path, adapter.path, architecture_of(base), folder)
        card = BACKENDS.get("local").inspect(Source("local", str(folder)), settings["model"], models.options(lab))
        return {"model": settings["model"], "card": _card_fields(card), "outcome": {"logits_apart": difference}}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        return

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        _complete_model(session, result)


class _NotingReporter:
    """The reporter, with the notes among its records remembered for the result."""

    def __init__(self, reporter: JobReporter) -> None:
        self._reporter = reporter
        self.notes: list[str] = [item["note"] for item in reporter.earlier() if "note" in item]

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self._reporter.progress(done, total, message)

    def metric(self, name: str, step: int, value: float) -> None:
        self._reporter.metric(name, step, value)

    def record(self, item: dict[str, Any]) -> None:
        if "note" in item:
            self.notes.append(item["note"])
        self._reporter.record(item)


def _write_inputs(lab: LabContext, plan: TrainingPlan, folder: Path, reporter: JobReporter) -> dict[str, Any]:
    """Encodes the data into the job's folder, unless an earlier attempt has; returns how many rows there are."""
    from genai_lab.training.loading import load_tokenizer

    path = folder / COUNTS
    if (folder / FILE).is_file() and path.is_file():
        return dict(json.loads(path.read_text()))
    reporter.progress(0, None, "Reading the data")
    resolved = resolve(lab, plan)
    prepared = prepare(resolved, load_tokenizer(resolved.folder))
    scores = bool(plan.training.score_rows) and resolved.objective.scores_completions
    validation = len(prepared.validation)
    inputs = TrainingInputs(
        plan,
        resolved.folder,
        plan.model,
        resolved.architecture,
        prepared.steps,
        resolved.device,
        resolved.labels,
        tuple(range(0, validation, max(1, validation // SAMPLES)))[:SAMPLES],
        passes=prepared.passes,
        rows_per_source=prepared.rows_per_source,
        default_rate=resolved.learning_rate,
        chat=resolved.chat,
        scored=rows_for(prepared.validation, plan.training.score_rows, plan.training.seed) if scores else (),
        metric=metric_for([*prepared.validation, *chain.from_iterable(prepared.train)]) if scores else "",
        models=resolved.model_folders,
    )
    counts = {
        "rows": prepared.rows,
        "left_out": prepared.left_out,
        "left_rows": prepared.left_rows,
        "cut": prepared.cut,
        "held": validation,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, counts)
    inputs.write(folder, prepared.train, prepared.validation)
    return counts


def _estimated_peak(inputs: TrainingInputs, folder: Path) -> int:
    """The peak in bytes that is estimated for the largest batch, to be compared with the measured one."""
    from genai_lab.training.loading import load_tokenizer
    from genai_lab.training.memory_estimate import estimate_memory

    examples, _ = inputs.examples(folder)
    dataset = inputs.dataset(examples, inputs.encoding(load_tokenizer(inputs.base)))
    length, target = dataset.largest_batch(inputs.training.per_device_batch_size)
    return estimate_memory(
        inputs.plan, inputs.base, inputs.architecture, inputs.labels, length, target, inputs.device, inputs.models
    ).peak


def export_model(
    lab: LabContext, plan: TrainingPlan, inputs: TrainingInputs, out: Path, settings: dict[str, Any]
) -> tuple[Card, int]:
    """Writes the artefact of the best checkpoint with its card; (the model's card, the checkpoint's step)."""
    from genai_lab.services.training.model_cards import write_card
    from genai_lab.training.artefacts import export_best

    folder = folder_of(lab, settings["model"], settings["run"])
    folder.parent.mkdir(parents=True, exist_ok=True)
    step = export_best(inputs, out, folder)
    write_card(lab, settings["run"], settings["model"], folder, step)
    adapter = makes_adapter(plan, models.show(lab, plan.model).card)
    source = Source("adapter" if adapter else "local", str(folder), base=plan.model if adapter else None)
    return BACKENDS.get(source.backend).inspect(source, settings["model"], models.options(lab)), step


def keep_rollouts(lab: LabContext, run_id: int, out: Path) -> None:
    """Moves what a policy has written while it learned to where it stays."""
    for name in (ROLLOUTS, EVALUATIONS):
        if (out / name).is_dir():
            folder = rollouts_folder(lab, run_id) / name
            folder.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.move(out / name, folder)


def _report(
    lab: LabContext, plan: TrainingPlan, inputs: TrainingInputs, out: Path, card: Card, reporter: JobReporter
) -> dict[str, Any]:
    """How the model does on data that it has not seen, as its objective reports it; {} for others."""
    reporter.progress(inputs.steps, inputs.steps, "Writing the report")
    return inputs.objective.report(FinishedRun(plan, sources_of(lab, plan), inputs, out, card, device_of(lab)))


def _card_fields(card: Card) -> dict[str, Any]:
    return asdict(card) | {"path": str(card.path) if card.path else None}


def _complete_model(session: Session, result: dict[str, Any]) -> None:
    """Fills in the reserved model row and the input hashes of queued runs."""
    row = model_queries.model_named(session, result["model"])
    if row is not None:
        models.update_row(row, models.card_of(result["card"]))
        model_queries.hash_inputs(session, row)


def _generation(sample: dict[str, Any]) -> dict[str, Any]:
    return {
        "example": sample["place"],
        "row_index": sample["step"] * SAMPLES + sample["place"],
        "sample_index": 0,
        "rendered_prompt": sample["prompt"],
        "text": sample["text"],
        "finish_reason": "end of text",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "seconds": 0.0,
        "seed": 0,
        "detail": {"step": sample["step"], "reference": sample["reference"]},
    }


for _handler in (Train(), Keep(), Merge()):
    HANDLERS.register(_handler.name)(_handler)
