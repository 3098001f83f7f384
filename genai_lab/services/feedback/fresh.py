"""Campaigns of fresh candidates: a matrix answers the prompts, and a job behind it makes the items of its cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, DuplicateName, LabError
from genai_lab.feedback import MOST, CampaignPlan
from genai_lab.models import BACKENDS
from genai_lab.services import datasets, feedback, jobs, matrix, models
from genai_lab.services.feedback import Sources
from genai_lab.views import View
from storage.tables import RunInput

COLLECT = "campaign"


@dataclass(frozen=True)
class Begun(View):
    """`job` makes the campaign once `generating` has answered the prompts."""

    campaign: int
    job: int
    generating: int


def comparable(lab: LabContext) -> tuple[str, ...]:
    """Two models that are worth comparing, where there are two: of the user's own before shipped ones, those that go
    on with any text before those that do one task.
    """
    able = [view for view in models.catalogue(lab) if view.card.modes and view.status in ("ready", "loaded")]
    able.sort(key=lambda view: (BACKENDS.get(view.card.source.backend).shipped, view.card.family == "encoder-decoder"))
    return tuple(view.card.name for view in able[:2])


def samplings(temperatures: Sequence[float], max_new_tokens: int) -> tuple[Sampling, ...]:
    """One setting for each temperature, the same once; 0 is greedy decoding."""
    return tuple(
        Sampling(greedy=not temperature, temperature=temperature or 1.0, max_new_tokens=max_new_tokens)
        for temperature in dict.fromkeys(temperatures)
    )


def start(
    lab: LabContext,
    plan: CampaignPlan,
    names: Sequence[str],
    *,
    dataset: str = "",
    prompts: Sequence[str] = (),
    template: str = "plain",
    samplings: Sequence[Sampling] = (Sampling(temperature=1.0, max_new_tokens=64),),
    samples: int = 1,
    rows: int = 100,
    split: str = "",
    seed: int = 0,
    opened: bool = False,
) -> Begun:
    """Queues it: every model of `names` with every sampling draws `samples` completions of every prompt, 2 to 6 in all.

    Prompts are rows of a dataset, or texts, which become one. Raises LabError for what cannot work.
    """
    size = len(names) * len(samplings) * samples
    if not 2 <= size <= MOST:
        raise LabError(
            f"Models x settings x samples make {size} candidate{'s' if size != 1 else ''} an item, but an item takes "
            f"2 to {MOST}; change one."
        )
    if samples > 1 and any(sampling.greedy or sampling.temperature == 0 for sampling in samplings):
        raise BadSetting("samples", samples, "1 where decoding is greedy, which gives the same text each time")
    view = _prompts(lab, prompts) if prompts else datasets.show(lab, dataset)
    split = split or next(iter(view.splits))
    candidates = matrix.MatrixPlan(
        view.name,
        tuple(names),
        (template,),
        samplings=tuple(samplings),
        seeds=tuple(range(seed, seed + samples)),
        rows=min(rows, view.splits.get(split, rows)),
        sample_seed=seed,
        split=split,
        metrics=(),
    )
    prepared = matrix.prepare(lab, candidates)
    try:
        with lab.database.session() as session:
            queued = matrix.queue(lab, session, prepared, title=f"Candidates for {plan.name}")
            inputs = tuple(RunInput(role=f"source {n}", source_run_id=cell) for n, cell in enumerate(queued.cells, 1))
            row = feedback.reserve_name(lab, session, plan, Sources(inputs, {"runs": list(queued.cells)}), "making")
            job = jobs.enqueue(
                lab,
                COLLECT,
                {"campaign": row.id, "runs": list(queued.cells), "plan": plan.as_dict(), "open": opened},
                title=f"Make the campaign {plan.name}",
                depends_on=queued.job_id,
                run_id=row.made_by_run_id,
                session=session,
            )
            return Begun(row.id, job, queued.job_id)
    except IntegrityError:
        raise DuplicateName("campaign", plan.name.strip()) from None


def _prompts(lab: LabContext, prompts: Sequence[str]) -> datasets.VersionView:
    texts = list(dict.fromkeys(text for text in prompts if text.strip()))
    if not texts:
        raise LabError("There are no prompts; write one a line, or choose a dataset.")
    rows = [{"prompt": text} for text in texts]
    return datasets.import_rows(lab, rows, "prompts", {"kind": "typed"}, mapping={"input": ["prompt"]})
