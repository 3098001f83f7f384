"""Human feedback: campaigns, annotators, rankings, preferences; demos whose votes land in a campaign."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Future, Table, name_of, names_of
from genai_lab.api.datasets import Dataset, Datasets
from genai_lab.api.templates import Templates
from genai_lab.api.training import Runs, Study, TrainingRun
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CRITERIA, CampaignPlan
from genai_lab.services import feedback, jobs
from genai_lab.services.feedback import (
    campaign_models,
    exporting,
    figures,
    fresh,
    links,
    ranking,
    reading,
    sources,
    systems,
)
from genai_lab.services.training import reward_studies

if TYPE_CHECKING:
    from genai_lab.services.feedback import CampaignView
    from genai_lab.services.feedback.exporting import Exported
    from genai_lab.services.feedback.figures import AgreementView, AnnotatorFigures, Board, Dispute
    from genai_lab.services.feedback.links import Link
    from genai_lab.services.lineage import Lineage

Choose = Callable[[str, list[str]], Any]
ANSWER_SECONDS = 30.0


class Campaign(Future):
    """Annotators who rank completions, blind."""

    @property
    def view(self) -> "CampaignView":
        return feedback.show(self.context, self.id)

    @property
    def name(self) -> str:
        return self.view.name

    @property
    def job_id(self) -> int | None:
        """The job that makes its items; None where they were there from the start."""
        job = jobs.of_run(self.context, self.view.run)
        return job.id if job is not None else None

    def lineage(self) -> "Lineage":
        """The runs that generated its candidates, and what was made from its answers."""
        from genai_lab.services import lineage

        return lineage.walk_campaign(self.context, self.id)

    def _address(self) -> str:
        return f"/feedback?campaign={self.id}"

    @property
    def run_id(self) -> int:
        return self.view.run

    def open(self) -> "Campaign":
        return self.move("open")

    def pause(self) -> "Campaign":
        return self.move("paused")

    def close(self) -> "Campaign":
        return self.move("closed")

    def move(self, status: str) -> "Campaign":
        """Opens ("open"), pauses ("paused") or closes ("closed") it."""
        feedback.move(self.context, self.id, status)
        return self

    def invite(self, annotator: str, *, renew: bool = False, revoke: bool = False) -> "Link":
        """A personal link; the same name gets the same one. `renew` ends the old link, `revoke` ends all."""
        link = links.invite(self.context, self.id, annotator)
        return links.renew(self.context, link.annotator, revoke=revoke) if renew or revoke else link

    def annotate(self, annotator: str, choose: Choose) -> int:
        """Answers every card that is left for an annotator by a function, and returns how many.

        `choose(prompt, completions)` returns the number of the best completion (from 0), an order as a list of numbers,
        groups as a list of lists, or None to skip.
        """
        person = links.invite(self.context, self.id, annotator).annotator
        for count in itertools.count():
            cards = ranking.next_cards(self.context, person, (), 1).result(ANSWER_SECONDS)["cards"]
            if not cards:
                return count
            texts = [candidate["text"] for candidate in cards[0]["candidates"]]
            choice = choose(cards[0]["prompt"], texts)
            reply = {"skip": "cannot judge"} if choice is None else {"groups": _groups(choice, len(texts))}
            sent = {"key": cards[0]["key"], "revision": 0, "seconds": 1.0, **reply}
            ranking.answer(self.context, person, sent).result(ANSWER_SECONDS)
        return 0

    def annotators(self) -> "Table[AnnotatorFigures]":
        """Progress, pace and answers to gold items of each annotator."""
        return Table(figures.progress(self.context, self.id))

    def agreement(self) -> "AgreementView":
        """Kappas, Krippendorff's alpha, self-consistency and position bias, with intervals."""
        return figures.agreement(self.context, self.id)

    def leaderboard(self, *, length_control: bool = False) -> "Board":
        """Bradley-Terry scores of the systems with intervals."""
        return figures.leaderboard(self.context, self.id, length_control=length_control)

    def preferences(self, votes: str = "kept", name: str = "") -> Dataset:
        """Its pairs as a dataset version: a pair for each vote ("kept") or aggregated by item ("majority")."""
        return Dataset(self.context, exporting.to_dataset(self.context, self.id, votes=votes, name=name))

    def labels(self, votes: str = "kept", name: str = "") -> Dataset:
        """Its votes as labels of single completions, as KTO reads them: a tie gives none, "both bad" one for each."""
        version = exporting.to_dataset(self.context, self.id, votes=votes, content="labels", name=name)
        return Dataset(self.context, version)

    def rankings(self) -> Table[dict[str, Any]]:
        """Every answer as it was given."""
        return Table(exporting.rankings(self.context, self.id))

    def export(
        self, path: str | Path, *, form: str = "explicit", votes: str = "kept", what: str = "pairs", name: str = ""
    ) -> "Exported":
        """Writes `what` (pairs in one of TRL's forms, labels or rankings) as .jsonl or .csv."""
        return exporting.export(self.context, self.id, Path(path), form=form, votes=votes, what=what, name=name)

    def change(
        self, *, name: str | None = None, guidelines: str | None = None, overlap: int | None = None
    ) -> "Campaign":
        """Gives it another name, other guidelines or another overlap; what is left out stays."""
        feedback.change(self.context, self.id, name=name, guidelines=guidelines, overlap=overlap)
        return self

    def discard(self) -> None:
        """Removes a campaign that has no answers; raises LabError for one that has."""
        feedback.discard(self.context, self.id)

    def disputes(self, limit: int = 20) -> "Table[Dispute]":
        """The items most in dispute, with every answer and what was decided."""
        return Table(figures.disputes(self.context, self.id, limit), _dispute_summary)

    def adjudicate(self, item: int, order: str, note: str = "") -> "Campaign":
        """Decides an item, such as "A > B = C"; exports use this instead of its votes."""
        reading.check_item(self.context, self.id, item)
        figures.adjudicate(self.context, item, reading.order_groups(self.context, item, order), note)
        return self

    def undecide(self, item: int) -> "Campaign":
        """Takes a decision back; the votes count again."""
        reading.check_item(self.context, self.id, item)
        figures.undecide(self.context, item)
        return self

    def name_systems(self, names: Mapping[str, str]) -> "Campaign":
        """Gives the columns of an imported file the names of the systems that wrote them."""
        systems.name_systems(self.context, self.id, names)
        return self

    def train_reward(self, base: Any = "starter-toxicity", **settings: Any) -> TrainingRun:
        """A reward model on its pairs; as `lab.train_reward`."""
        return train_reward(self.context, self, base, **settings)

    def tune_policy(self, base: Any, **settings: Any) -> TrainingRun:
        """A policy tuned on its pairs by DPO, or on its labels with objective="kto"."""
        return tune_policy(self.context, self, base, **settings)

    def learning_curve(self) -> Study:
        """Reward models from shares of its pairs, with the settings of its newest reward model."""
        return self._reward_run().learning_curve()

    def annotator_influence(self, annotators: Sequence[str] = (), how: str = "leave out") -> Study:
        """What each annotator's votes change in its reward model."""
        return self._reward_run().annotator_influence(annotators, how)

    def _reward_run(self) -> TrainingRun:
        view = campaign_models.of(self.context, self.id).rewarded
        if view is None:
            raise LabError(f"{self.name} has no reward model yet; train one first.")
        return TrainingRun(self.context, view.id)

    @property
    def title(self) -> str:
        view = self.view
        return f"Campaign {self.id}: {view.name}, {view.status}, {view.got:,} of {view.wanted:,} answers"


class Campaigns:
    """All campaigns."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, which: int | str) -> Campaign:
        return Campaign(self.context, feedback.show(self.context, which).id)

    def list(self) -> "Table[CampaignView]":
        return Table(feedback.find(self.context), _campaign_summary)

    def create(
        self,
        question: str = "helpful",
        *,
        runs: Sequence[Any] = (),
        file: str | Path = "",
        dataset: Any = None,
        prompts: Sequence[str] = (),
        models: Any = (),
        n: int = 1,
        temperatures: float | Sequence[float] = 1.0,
        max_new_tokens: int = 64,
        template: Any = "plain",
        split: str = "",
        rows: int = 50,
        columns: Mapping[str, Any] | None = None,
        name: str = "",
        open: bool = False,
        **plan: Any,
    ) -> Campaign:
        """A campaign from runs, from a file or dataset that holds completions, or from fresh completions of models.

        `question` is helpful, honest, harmless, or a question of your own. With `models`, each of them writes `n`
        completions at each temperature for every prompt (texts, or rows of a dataset put into a template). `columns`
        names the columns of a file: prompt, completions, systems, votes, gold, separator. Further keywords belong to
        the plan: guidelines, kind, overlap, repeats, ties, both_bad, seed.
        """
        title = name or _default_name(question, runs, file, dataset)
        settings = CampaignPlan(name=title, criterion=question, **plan)
        if models:
            return self.generate(
                settings, models, prompts=prompts, dataset=dataset, n=n, temperatures=temperatures,
                max_new_tokens=max_new_tokens, template=template, split=split, rows=rows, open=open,
            )  # fmt: skip
        campaign = Campaign(self.context, self.collect(settings, runs, file, dataset, columns).campaign)
        return campaign.open() if open else campaign

    def generate(
        self,
        plan: CampaignPlan,
        models: Any,
        *,
        prompts: Sequence[str] = (),
        dataset: Any = None,
        n: int = 1,
        temperatures: float | Sequence[float] = 1.0,
        max_new_tokens: int = 64,
        template: Any = "plain",
        split: str = "",
        rows: int = 50,
        open: bool = False,
    ) -> Campaign:
        """A campaign of fresh completions, which a job writes."""
        started = fresh.start(
            self.context,
            plan,
            names_of(models),
            dataset=Datasets(self.context).load(dataset).name if dataset is not None else "",
            prompts=prompts,
            template=Templates(self.context).name_for(template),
            samplings=fresh.samplings(_floats(temperatures), max_new_tokens),
            samples=n,
            rows=rows,
            split=split,
            seed=plan.seed,
            opened=open,
        )
        return Campaign(self.context, started.campaign)

    def blind_compare(self, run: TrainingRun | int, *, rows: int = 50, overlap: int = 2, seed: int = 0) -> Campaign:
        """Annotators compare a tuned policy with its base, blind, on prompts held out from its training."""
        number = run if isinstance(run, int) else run.id
        started = campaign_models.before_and_after(self.context, number, rows=rows, overlap=overlap, seed=seed)
        return Campaign(self.context, started.campaign)

    def collect(
        self,
        plan: CampaignPlan,
        runs: Sequence[Any] = (),
        file: str | Path = "",
        dataset: Any = None,
        columns: Mapping[str, Any] | None = None,
    ) -> feedback.NewCampaign:
        """A draft from completions that are there already; returns how many items it has and what was left out."""
        chosen = sources.Columns(**_tuples(columns or {}))
        if runs:
            return sources.from_runs(self.context, plan, [getattr(run, "id", run) for run in runs])
        if file:
            if not Path(file).is_file():
                raise LabError(f"There is no file {file}.")
            return sources.from_file(self.context, plan, Path(file), chosen)
        if dataset is None:
            raise LabError("The campaign has no completions; give runs, a file, a dataset, or models with prompts.")
        return sources.from_dataset(self.context, plan, Datasets(self.context).load(dataset).name, chosen)


def train_reward(
    context: LabContext,
    preferences: Any,
    base: Any,
    *,
    method: str = "full",
    max_steps: int = 0,
    votes: str = "kept",
    name: str = "",
    **settings: Any,
) -> TrainingRun:
    """A reward model from a campaign, a dataset of pairs or rows."""
    return _train(context, preferences, base, "reward", method, max_steps, votes, name, settings)


def tune_policy(
    context: LabContext,
    preferences: Any,
    base: Any,
    *,
    objective: str = "dpo",
    method: str = "lora",
    max_steps: int = 0,
    votes: str = "kept",
    name: str = "",
    **settings: Any,
) -> TrainingRun:
    """A policy tuned on the votes of a campaign, a dataset or rows, as the objective reads them."""
    return _train(context, preferences, base, objective, method, max_steps, votes, name, settings)


def _train(
    context: LabContext,
    preferences: Any,
    base: Any,
    objective: str,
    method: str,
    max_steps: int,
    votes: str,
    name: str,
    settings: Mapping[str, Any],
) -> TrainingRun:
    chosen: dict[str, Any] = {
        "objective": objective, "method": method, "steps": max_steps, "name": name, "settings": settings
    }  # fmt: skip
    if isinstance(preferences, Campaign):
        started = campaign_models.train(context, preferences.id, name_of(base), votes=votes, **chosen)
    else:
        dataset = Datasets(context).load(preferences).name
        started = reward_studies.start_default(context, dataset, name_of(base), **chosen)
    return Runs(context).get(started.run_id)


def _default_name(question: str, runs: Sequence[Any], file: str | Path, dataset: Any) -> str:
    if runs:
        return f"runs {', '.join(str(getattr(run, 'id', run)) for run in runs)}"[:120]
    if file:
        return Path(file).name.split(".")[0][:120]
    if dataset is not None and (isinstance(dataset, str) or hasattr(dataset, "name")):
        return name_of(dataset)[:120]
    return "Fresh completions" if question in CRITERIA else question[:120]


def _groups(choice: Any, size: int) -> list[list[int]]:
    """The answer of `choose` as groups, the best first."""
    if isinstance(choice, int):
        return [[choice], [number for number in range(size) if number != choice]]
    return [list(group) if isinstance(group, list | tuple) else [int(group)] for group in choice]


def _tuples(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The names of columns, of which several may be given as a list."""
    single = ("gold", "separator")
    return {
        role: names if role in single else (names,) if isinstance(names, str) else tuple(names)
        for role, names in columns.items()
    }


def _floats(values: float | Sequence[float]) -> list[float]:
    return list(values) if isinstance(values, list | tuple) else [float(values)]  # type: ignore[arg-type]


def _campaign_summary(view: "CampaignView") -> dict[str, Any]:
    answers = f"{view.got:,} of {view.wanted:,}"
    return {"campaign": view.id, "status": view.status, "answers": answers, "name": view.name}


def _dispute_summary(dispute: "Dispute") -> dict[str, Any]:
    letters = {candidate: chr(65 + number) for number, (candidate, _, _) in enumerate(dispute.candidates)}
    decided = figures.order_text(dispute.verdict["groups"], letters) if dispute.verdict else ""
    answers = "; ".join(f"{name}: {order}" for name, order, _ in dispute.answers)
    return {"item": dispute.item, "in dispute": dispute.share, "answers": answers, "decided": decided}
