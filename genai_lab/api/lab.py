"""`Lab`: the door to everything, with the field's words as keywords."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genai_lab.api.records import Backups, History, Jobs, Models, Presets
from genai_lab.bootstrap import open_lab
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api.alignment import Alignment
    from genai_lab.api.base import Table
    from genai_lab.api.campaigns import Campaigns
    from genai_lab.api.datasets import Datasets
    from genai_lab.api.demos import Demos
    from genai_lab.api.evaluation import Evaluation, Evaluations
    from genai_lab.api.generation import Chat, Generation, Messages, Stream
    from genai_lab.api.matrices import Matrices, Matrix
    from genai_lab.api.recipes import Recipes
    from genai_lab.api.templates import Templates
    from genai_lab.api.training import Runs, Studies, TrainingRun
    from genai_lab.models import Prompt
    from genai_lab.services.backup import Backup
    from genai_lab.services.embedding import Embedded
    from genai_lab.services.lineage import Lineage
    from genai_lab.training import TrainingPlan


def open(home: str | Path | None = None, **settings: Any) -> "Lab":
    """Opens the lab of a data home, which is created where there is none; without one GENAI_LAB_HOME or lab_data.

    `settings` replace those of the environment: device, dtype, cpu_jobs, plugins... (see `Config`).
    """
    return Lab(open_lab(Config.from_environment(home=Path(home) if home else None, **settings)))


class Lab:
    """An open lab. Close it, or use it in a `with` statement.

    Models, datasets and templates are named by text or given as what another function returned.
    """

    def __init__(self, context: LabContext) -> None:
        self.context = context
        self.models = Models(self.context)
        self.jobs = Jobs(self.context)
        self.history = History(self.context)
        self.presets = Presets(self.context)
        self.backups = Backups(self.context)

    def close(self) -> None:
        self.context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lab({str(self.home)!r})"

    @property
    def home(self) -> Path:
        return self.context.config.home

    @cached_property
    def datasets(self) -> "Datasets":
        from genai_lab.api.datasets import Datasets

        return Datasets(self.context)

    @cached_property
    def templates(self) -> "Templates":
        from genai_lab.api.templates import Templates

        return Templates(self.context)

    @cached_property
    def matrices(self) -> "Matrices":
        from genai_lab.api.matrices import Matrices

        return Matrices(self.context)

    @cached_property
    def evaluations(self) -> "Evaluations":
        from genai_lab.api.evaluation import Evaluations

        return Evaluations(self.context)

    @cached_property
    def runs(self) -> "Runs":
        from genai_lab.api.training import Runs

        return Runs(self.context)

    @cached_property
    def studies(self) -> "Studies":
        from genai_lab.api.training import Studies

        return Studies(self.context)

    @cached_property
    def campaigns(self) -> "Campaigns":
        from genai_lab.api.campaigns import Campaigns

        return Campaigns(self.context)

    @cached_property
    def recipes(self) -> "Recipes":
        from genai_lab.api.recipes import Recipes

        return Recipes(self.context)

    @cached_property
    def alignment(self) -> "Alignment":
        from genai_lab.api.alignment import Alignment

        return Alignment(self.context)

    @cached_property
    def demos(self) -> "Demos":
        from genai_lab.api.demos import Demos

        return Demos(self.context)

    # Completions

    def generate(
        self,
        model: Any,
        prompt: "str | Messages | Prompt",
        *,
        mode: str | None = None,
        sampling: Sampling | str | None = None,
        trace: int = 0,
        **settings: Any,
    ) -> "Generation":
        """One run of a model on a text or on messages, recorded.

        `sampling` is a Sampling or a preset's name; settings such as temperature, top_p, max_new_tokens,
        num_return_sequences and seed stand above it, and above the model's own defaults. `trace` keeps so many
        alternatives of every token.
        """
        return self.stream(model, prompt, mode=mode, sampling=sampling, trace=trace, **settings).result

    def stream(
        self,
        model: Any,
        prompt: "str | Messages | Prompt",
        *,
        mode: str | None = None,
        sampling: Sampling | str | None = None,
        trace: int = 0,
        **settings: Any,
    ) -> "Stream":
        """As `generate`, as a stream: iterate for the text as it comes."""
        from genai_lab.api.generation import Stream, start

        live = start(self.context, model, prompt, mode=mode, sampling=sampling, trace=trace, settings=settings)
        return Stream(self.context, live)

    def chat(self, model: Any, system: str = "", **settings: Any) -> "Chat":
        """A conversation: `chat.say("Hello").text`."""
        from genai_lab.api.generation import Chat

        return Chat(self.context, model, system, **settings)

    def compare(
        self,
        models: Sequence[Any],
        prompts: "str | Sequence[str | Messages | Prompt]",
        *,
        mode: str | None = None,
        sampling: Sampling | str | None = None,
        **settings: Any,
    ) -> "Table[Generation]":
        """Every model on every prompt, run together as one group."""
        from genai_lab.api.generation import compare

        several = [prompts] if isinstance(prompts, str) else list(prompts)
        return compare(self.context, models, several, mode=mode, sampling=sampling, settings=settings)

    def run(self, id: int) -> "Generation":
        """A recorded generation."""
        from genai_lab.api.generation import Generation
        from genai_lab.services import generation

        return Generation(self.context, generation.run(self.context, id))

    def replay(self, id: int) -> "Generation":
        """A recorded generation again: the same settings and seed."""
        from genai_lab.api.generation import Stream
        from genai_lab.services import generation

        return Stream(self.context, generation.replay(self.context, id)).result

    # Prompts and evaluation

    def matrix(
        self, models: Any, dataset: Any, *, template: Any, title: str = "", wait: bool = False, **settings: Any
    ) -> "Matrix":
        """Models x templates x shots x settings over the same rows of a dataset, as a job.

        Keywords: metrics, shots, selectors, fixed, embedder, diversity, temperatures, presets, sampling, seeds, rows,
        split, shot_split, format, use_cache, and sampling settings such as max_new_tokens.
        """
        from genai_lab.api.base import jobs_of
        from genai_lab.api.matrices import matrix_plan
        from genai_lab.api.metrics import publish

        publish(self.context, settings.get("metrics", ()))
        plan = matrix_plan(self.context, models, dataset, template=template, **settings)
        started = self.matrices.start(plan, title=title, after=jobs_of(models))
        return started.wait() if wait else started

    def evaluate(
        self,
        models: Any,
        dataset: Any,
        *,
        template: Any,
        metrics: Any,
        baseline: int = 0,
        title: str = "",
        **settings: Any,
    ) -> "Evaluation":
        """Models on a dataset, measured with intervals and tested against the first one.

        Further keywords are those of `matrix`; several shots or settings make several systems, of which `baseline` is
        the number (from 0) of the one that the others are compared with.
        """
        from genai_lab.api.base import jobs_of
        from genai_lab.api.evaluation import Evaluation, choices_of
        from genai_lab.api.matrices import matrix_plan
        from genai_lab.api.metrics import publish
        from genai_lab.services import evaluation

        publish(self.context, metrics)
        plan = matrix_plan(self.context, models, dataset, template=template, metrics=choices_of(metrics), **settings)
        started = evaluation.run_models(self.context, plan, title=title, baseline_cell=baseline, after=jobs_of(models))
        return Evaluation(self.context, started.run_id)

    # Training

    def plan(self, model: Any, data: Any, **settings: Any) -> "TrainingPlan":
        """The plan of a fine-tuning run from keywords; `Plan.to_yaml` writes it, studies take it."""
        from genai_lab.api.training import plan_of

        return plan_of(self.context, model, data, **settings)

    def finetune(
        self,
        model: Any,
        data: Any,
        *,
        objective: str = "instruction",
        method: str = "lora",
        template: Any = (),
        name: str = "",
        title: str = "",
        tags: Sequence[str] = (),
        gate: Sequence[int] = (),
        **settings: Any,
    ) -> "TrainingRun":
        """Fine-tunes a model, as a job; `.wait().model` is the new model's name.

        Settings of training (max_steps, learning_rate, per_device_batch_size, max_length, seed...), of the method
        (such as rank) and of the objective by their names.
        """
        from genai_lab.api.base import jobs_of

        plan = self.plan(model, data, objective=objective, method=method, template=template, **settings)
        return self.runs.start(plan, name=name, title=title, tags=tags, gate=gate, after=jobs_of(model))

    def train_reward(
        self,
        preferences: Any,
        base: Any = "starter-toxicity",
        *,
        method: str = "full",
        max_steps: int = 0,
        votes: str = "kept",
        name: str = "",
        **settings: Any,
    ) -> "TrainingRun":
        """A reward model from pairs: a campaign, a dataset or rows with prompt, chosen and rejected."""
        from genai_lab.api.campaigns import train_reward

        return train_reward(
            self.context, preferences, base, method=method, max_steps=max_steps, votes=votes, name=name, **settings
        )

    def tune_policy(
        self,
        preferences: Any,
        base: Any,
        *,
        objective: str = "dpo",
        method: str = "lora",
        max_steps: int = 0,
        votes: str = "kept",
        name: str = "",
        **settings: Any,
    ) -> "TrainingRun":
        """A policy tuned on the same pairs by DPO, or on labels of single completions with objective="kto"."""
        from genai_lab.api.campaigns import tune_policy

        return tune_policy(
            self.context, preferences, base, objective=objective, method=method, max_steps=max_steps, votes=votes,
            name=name, **settings,
        )  # fmt: skip

    def embed(self, texts: "str | Sequence[str]", model: Any = "") -> "Embedded":
        """A vector of each text, `.vectors` (n, d) in float32, by an encoder of the catalogue.

        Without a model the first embedder of the catalogue. Vectors are stored by text and model hash.
        """
        from genai_lab.api.base import name_of
        from genai_lab.services import embedding

        several = [texts] if isinstance(texts, str) else list(texts)
        return embedding.embed(self.context, several, name_of(model))

    def score(self, model: Any, prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
        """The reward of each completion of its prompt."""
        from genai_lab.api.base import name_of
        from genai_lab.services import rewards

        return rewards.score(self.context, name_of(model), prompts, completions)

    def score_runs(self, model: Any, runs: Sequence[int]) -> "Table[Any]":
        """The rewards of completions in the history, best first for each prompt."""
        from genai_lab.api.base import Table, name_of
        from genai_lab.services import rewards

        return Table(rewards.of_runs(self.context, name_of(model), runs))

    # What there is, and where it came from

    def lineage(
        self,
        model: Any = None,
        *,
        run: int | None = None,
        dataset: Any = None,
        template: Any = None,
        campaign: Any = None,
        limit: int | None = None,
    ) -> "Lineage":
        """Every run, dataset, template, ranking and annotator behind one thing, and what was made from it.

        Give a model, run, dataset version, template version or campaign. `limit` is the largest number of nodes in each
        direction; without it everything behind the thing and the nearest 1,000 made from it.
        """
        from genai_lab.api.base import name_of
        from genai_lab.services import lineage

        named = {"model": model, "run": run, "dataset": dataset, "template": template, "campaign": campaign}
        chosen = [(kind, thing) for kind, thing in named.items() if thing is not None]
        if len(chosen) != 1:
            raise LabError(f"A lineage is that of one {', '.join(named)}; {len(chosen)} were given, give one.")
        kind, thing = chosen[0]
        name = str(getattr(thing, "id", thing)) if kind in ("run", "campaign") else name_of(thing)
        return lineage.walk_from(self.context, kind, name, limit)

    def backup(self, path: str | Path) -> "Backup":
        """A copy of the whole lab in one file, while it works; `backups` keeps some in the lab's home."""
        from genai_lab.services import backup

        return backup.backup(self.context, Path(path))


def restore(path: str | Path, home: str | Path) -> "Backup":
    """A lab from a backup, in an empty data home."""
    from genai_lab.services import backup

    return backup.restore(Config.from_environment(home=Path(home)), Path(path))
