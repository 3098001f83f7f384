"""The jobs "train", "keep" and "merge": a model made by fine-tuning, from a checkpoint, or from an adapter."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.files import write_json
from genai_lab.models import BACKENDS, Card, Source
from genai_lab.services import jobs, models
from genai_lab.services.jobs.handlers.protocol import HANDLERS, Reporter
from genai_lab.services.training import KEEP, MERGE, TRAIN, folder_of, makes_adapter, preparation
from genai_lab.training import Plan, architecture_of
from genai_lab.training.completion_scores import metric_for, rows_for
from genai_lab.training.inputs import FILE, SHOWN, TrainingInputs
from genai_lab.training.objectives import OBJECTIVES
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
        """One a process."""
        return Plan.from_dict(settings["plan"]).training.processes

    def run(self, lab: LabContext, settings: dict[str, Any], report: Reporter) -> dict[str, Any]:
        from genai_lab.training.processes import run

        for item in report.earlier():
            if "made" in item:
                return dict(item["made"])
        plan = Plan.from_dict(settings["plan"])
        place, out = report.folder / "work", report.folder / "out"
        counts = _written(lab, plan, place, report)
        work = TrainingInputs.read(place)
        tell = _Noting(report)
        foreseen = _foreseen(work, place)
        outcome = run(work, place, out, tell)
        report.progress(work.steps, work.steps, "Writing the model")
        card, step = exported(lab, plan, work, out, settings)
        told = _reported(lab, plan, work, out, card, report)
        result = {
            "report": told,
            "model": settings["model"],
            "card": _kept(card),
            "outcome": outcome | counts | {"step": step, "bytes": card.disk_bytes, "foreseen": foreseen},
            "notes": tell.notes,
        }
        report.record({"key": "made", "made": result})
        for folder in (out, place):
            shutil.rmtree(folder, ignore_errors=True)  # the model stands; checkpoints are of no more use
        return result

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        """What it wrote on the way, as completions of the run, and what these were worth."""
        found = [item["sample"] for item in items if "sample" in item]
        queries.add_generations(session, [(job.run_id or 0, _generation(one)) for one in found])
        if scores := {str(item["score"]["step"]): item["score"] for item in items if "score" in item}:
            run = session.get_one(Run, job.run_id)
            run.settings = run.settings | {"scores": run.settings.get("scores", {}) | scores}

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        _made(session, result)
        run = session.get_one(Run, job.run_id)
        run.seconds = result["outcome"]["seconds"]


class Keep:
    name = KEEP
    title = "Model from a checkpoint"
    page = "/finetune"
    resource = "device"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], report: Reporter) -> dict[str, Any]:
        from genai_lab.training.training_loop import progress_of

        place = jobs.folder(lab, settings["job"])
        work = TrainingInputs.read(place / "work")
        card, step = exported(lab, work.plan, work, place / "out", settings)
        outcome = progress_of(place / "out") | {"step": step, "bytes": card.disk_bytes}
        counts = json.loads((place / "work" / COUNTS).read_text())
        return {"model": settings["model"], "card": _kept(card), "outcome": outcome | counts}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        return

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        """The run, whose own job has come to nothing, has this outcome."""
        _made(session, result)
        session.get_one(Job, job.settings["job"]).result = {"outcome": result["outcome"]}


class Merge:
    name = MERGE
    title = "Merge"
    page = "/models"
    resource = "cpu"
    small = True

    def run(self, lab: LabContext, settings: dict[str, Any], report: Reporter) -> dict[str, Any]:
        from genai_lab.training.artefacts import merge

        adapter, base = models.show(lab, settings["adapter"]).card, models.show(lab, settings["base"]).card
        assert adapter.path is not None
        assert base.path is not None
        folder = folder_of(lab, settings["model"], settings["run"])
        apart = merge(base.path, adapter.path, architecture_of(base), folder)
        card = BACKENDS.get("local").inspect(Source("local", str(folder)), settings["model"], models.options(lab))
        return {"model": settings["model"], "card": _kept(card), "outcome": {"logits_apart": apart}}

    def ingest(self, session: Session, job: Job, items: Sequence[dict[str, Any]]) -> None:
        return

    def complete(self, session: Session, job: Job, result: dict[str, Any]) -> None:
        _made(session, result)


class _Noting:
    """The report, with the notes among its records kept for the result."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self.notes: list[str] = [item["note"] for item in report.earlier() if "note" in item]

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        self._report.progress(done, total, message)

    def metric(self, name: str, step: int, value: float) -> None:
        self._report.metric(name, step, value)

    def record(self, item: dict[str, Any]) -> None:
        if "note" in item:
            self.notes.append(item["note"])
        self._report.record(item)


def _written(lab: LabContext, plan: Plan, place: Path, report: Reporter) -> dict[str, Any]:
    """Encodes the data into the job's folder, unless an earlier attempt has; how many rows there are."""
    from genai_lab.training.loading import load_tokenizer

    counts = place / COUNTS
    if (place / FILE).is_file() and counts.is_file():
        return dict(json.loads(counts.read_text()))
    report.progress(0, None, "Reading the data")
    found = preparation.known(lab, plan)
    folder = preparation.folder_of(found)
    made = preparation.prepare(lab, plan, found, load_tokenizer(folder))
    tasks = plan.training.score_rows and OBJECTIVES.get(plan.objective).needs == "reference"
    work = TrainingInputs(
        plan,
        folder,
        plan.model,
        found.architecture,
        made.steps,
        preparation.device_of(lab),
        found.labels,
        tuple(range(0, len(made.validation), max(1, len(made.validation) // SHOWN)))[:SHOWN],
        turns=made.turns,
        sizes=made.sizes,
        default_rate=found.rate(plan),
        chat=found.chat,
        scored=rows_for(made.validation, plan.training.score_rows, plan.training.seed) if tasks else (),
        metric=metric_for([*made.validation, *(item for part in made.train for item in part)]) if tasks else "",
    )
    numbers = {
        "rows": made.rows,
        "left_out": made.left_out,
        "left_rows": made.left_rows,
        "cut": made.cut,
        "held": len(made.validation),
    }
    place.mkdir(parents=True, exist_ok=True)
    write_json(counts, numbers)
    work.write(place, made.train, made.validation)
    return numbers


def _foreseen(work: TrainingInputs, place: Path) -> int:
    """The peak in bytes that the memory plan gives for the batch that takes most, to be held against the measured."""
    from genai_lab.training.loading import load_tokenizer
    from genai_lab.training.memory_estimate import foresee, longest

    items, _ = work.items(place)
    draws = work.draws(items, load_tokenizer(work.base))
    length, target = longest(draws, work.training.per_device_batch_size)
    return foresee(work.plan, work.base, work.architecture, work.labels, length, target, work.device).peak


def exported(
    lab: LabContext, plan: Plan, work: TrainingInputs, out: Path, settings: dict[str, Any]
) -> tuple[Card, int]:
    """Writes the artefact of the best checkpoint with its card; (the model's card, the checkpoint's step)."""
    from genai_lab.services.training.model_cards import write_card
    from genai_lab.training.artefacts import export_best

    folder = folder_of(lab, settings["model"], settings["run"])
    folder.parent.mkdir(parents=True, exist_ok=True)
    step = export_best(work, out, folder)
    write_card(lab, settings["run"], settings["model"], folder, step)
    adapter = makes_adapter(plan, models.show(lab, plan.model).card)
    source = Source("adapter" if adapter else "local", str(folder), base=plan.model if adapter else None)
    return BACKENDS.get(source.backend).inspect(source, settings["model"], models.options(lab)), step


def _reported(
    lab: LabContext, plan: Plan, work: TrainingInputs, out: Path, card: Card, report: Reporter
) -> dict[str, Any]:
    """How a reward model, or the implicit reward of a policy, does on held-out pairs; {} for other runs."""
    if work.objective.needs != "pairs":
        return {}
    from genai_lab.models.reward_model import RewardModel
    from genai_lab.services.training import reward_report
    from genai_lab.training.implicit_reward import ImplicitReward

    report.progress(work.steps, work.steps, "Scoring held-out pairs")
    device = preparation.device_of(lab)
    explicit = work.objective.head == "reward"
    return reward_report.report(lab, plan, RewardModel(card, device) if explicit else ImplicitReward(work, out, device))


def _kept(card: Card) -> dict[str, Any]:
    return asdict(card) | {"path": str(card.path) if card.path else None}


def _made(session: Session, result: dict[str, Any]) -> None:
    """The model's row learns what has been made, and the runs that wait for it what they will read."""
    row = model_queries.model_named(session, result["model"])
    if row is not None:
        models.update_row(row, models.card_of(result["card"]))
        model_queries.hash_inputs(session, row)


def _generation(sample: dict[str, Any]) -> dict[str, Any]:
    return {
        "example": sample["place"],
        "row_index": sample["step"] * SHOWN + sample["place"],
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


def _kinds() -> Iterator[Any]:
    yield from (Train(), Keep(), Merge())


for _kind in _kinds():
    HANDLERS.register(_kind.name)(_kind)
