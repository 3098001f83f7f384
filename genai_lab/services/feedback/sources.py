"""Where a campaign's items come from: runs that answered the same prompts, or a file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import BadRow, BadRows, guarded, readers
from genai_lab.decoding import NO_ANSWER, Sampling
from genai_lab.errors import LabError
from genai_lab.feedback import LONGEST_TEXT, MOST, CampaignPlan, Option, RankingTask
from genai_lab.services import datasets, feedback, generation
from genai_lab.services.feedback import NewCampaign, Sources
from genai_lab.services.feedback.file_rows import IMPORTED, PAIR, BadCell, Columns, split_names, task_of
from genai_lab.services.packing import asked_of
from storage import evaluation as evaluations
from storage import runs
from storage.tables import Run, RunInput

PROMPTS = ("prompt", "instruction", "question", "input", "messages", "conversations", "conversation")
STARTS = ("completion", "response", "candidate", "answer", "output")
SEPARATORS = (" vs. ", " vs ", "|", ";", ",", "/", "_")
SAMPLING_FIELDS = tuple(field.name for field in fields(Sampling) if field.name not in ("seed", "num_return_sequences"))


def from_runs(lab: LabContext, plan: CampaignPlan, run_ids: Sequence[int]) -> NewCampaign:
    """A campaign from runs of the playground, cells of a matrix or systems; a matrix or an evaluation means its own.

    Completions of the same dataset row, or of the same prompt, are the candidates of one item; where there are more
    than an item takes, each system gives one in turn, and `Made.cut` counts the rest.
    """
    source_runs = _opened(lab, run_ids)
    tasks, cut = _tasks(lab, source_runs)
    if not tasks and len(source_runs) == 1 and len(_completions(lab, source_runs[0])) < 2:
        raise LabError(
            f"Run {source_runs[0].id} has one completion, and a campaign compares two at least; name another run of "
            "the same prompt beside it, or draw several completions (--num-return-sequences 4, or Compare on the page)."
        )
    if not tasks:
        raise LabError(
            "These runs have no two different completions of the same prompt or dataset row; choose runs that answer "
            "the same prompts and have ended, or draw with a temperature above 0."
        )
    inputs = tuple(RunInput(role=f"source {n}", source_run_id=run.id) for n, run in enumerate(source_runs, 1))
    campaign = feedback.create(lab, plan, tasks, Sources(inputs, {"runs": [run.id for run in source_runs]}))
    return replace(campaign, cut=cut)


def _completions(lab: LabContext, run: Run) -> list[Any]:
    with lab.database.reading() as session:
        full_run = runs.run_with_all(session, run.id)
        return list(full_run.generations) if full_run is not None else []


def from_group(lab: LabContext, plan: CampaignPlan, group: str) -> NewCampaign:
    """A campaign from a comparison of the playground."""
    return from_runs(lab, plan, [view.id for view in generation.group_runs(lab, group)])


def tasks_of(lab: LabContext, run_ids: Sequence[int]) -> list[RankingTask]:
    """The items that these runs' completions make."""
    return _tasks(lab, _opened(lab, run_ids))[0]


def _opened(lab: LabContext, run_ids: Sequence[int]) -> list[Run]:
    """The runs that generated; those that stand for others (matrix, evaluation, a comparison) are taken apart."""
    opened: dict[int, Run] = {}
    members: Sequence[Run | None]
    with lab.database.reading() as session:
        for run_id in run_ids:
            run = evaluations.run_with_inputs(session, run_id) if 0 < run_id < 2**31 else None
            if run is None:
                raise LabError(f"There is no run {run_id}; the history lists the existing ones.")
            if run.kind == evaluations.EVALUATION:
                members = [evaluations.run_with_inputs(session, member) for member in run.settings.get("systems", ())]
            elif run.kind == "matrix":
                members = evaluations.runs_of_kind(session, evaluations.SYSTEM, parent=run.id)[::-1]
            elif run.group and len(run_ids) == 1:
                members = runs.runs_of_group(session, run.group)
            else:
                members = [run]
            opened |= {member.id: member for member in members if member is not None}
    return list(opened.values())


def _tasks(lab: LabContext, source_runs: Sequence[Run]) -> tuple[list[RankingTask], int]:
    """Items, and how many different candidates had no place in theirs."""
    grouped: dict[Any, list[tuple[str, Option]]] = {}
    names = _names(source_runs)
    with lab.database.reading() as session:
        for run in source_runs:
            full_run = runs.run_with_all(session, run.id)
            version = next(
                (generation.dataset_version_id for generation in run.inputs if generation.dataset_version_id), None
            )
            for generation in full_run.generations if full_run else ():
                if (generation.detail or {}).get("error") or generation.finish_reason in NO_ANSWER:
                    continue
                prompt = asked_of(run.settings, generation.rendered_prompt)
                # Row 5 of another dataset is another prompt.
                key = (version, generation.example) if version and generation.example is not None else prompt
                option = Option(names[run.id], generation.text[:LONGEST_TEXT], generation.id)
                grouped.setdefault(key, []).append((prompt, option))
    texts = _asked(lab, [key for key in grouped if isinstance(key, tuple)])
    tasks, cut = [], 0
    for key, members in grouped.items():
        prompts = {prompt for prompt, _ in members}
        same = next(iter(prompts)) if len(prompts) == 1 else texts.get(key, members[0][0])
        options = _in_turn(_different([option for _, option in members]))
        if len(options) > 1:
            tasks.append(RankingTask(same[:LONGEST_TEXT], tuple(options[:MOST])))
            cut += len(options[MOST:])
    return tasks, cut


def _asked(lab: LabContext, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """What rows ask, by (dataset version, row)."""
    rows: dict[int, list[int]] = {}
    for version, row in keys:
        rows.setdefault(version, []).append(row)
    return {
        (version, example.key): example.input
        for version, row_ids in rows.items()
        for example in datasets.pick(lab, version, row_ids)
    }


def _different(options: Sequence[Option]) -> list[Option]:
    """Equal candidates once, so that the places are left for different ones."""
    unique: dict[str, Option] = {}
    for option in options:
        unique.setdefault(option.text.strip(), option)
    return list(unique.values())


def _in_turn(options: Sequence[Option]) -> list[Option]:
    """The first of every system, then the second of each: where an item is full, none has been left out for another."""
    counts: Counter[str] = Counter()
    turns = []
    for option in options:
        turns.append(counts[option.system])
        counts[option.system] += 1
    return [options[index] for index in sorted(range(len(options)), key=turns.__getitem__)]


def _names(source_runs: Sequence[Run]) -> dict[int, str]:
    """Each run's system: its model, with what else tells the runs apart."""
    parts = {run_id.id: _parts(run_id) for run_id in source_runs}
    keys = dict.fromkeys(key for settings in parts.values() for key in settings if key != "model")
    varying = [key for key in keys if len({settings[key] for settings in parts.values() if key in settings}) > 1]
    return {
        run_id: ", ".join([settings["model"], *(f"{key} {settings[key]}" for key in varying if key in settings)])
        for run_id, settings in parts.items()
    }


def _parts(run: Run) -> dict[str, str]:
    """What a run's system is; what was uploaded has no settings."""
    parts = {
        "model": next(
            (run_input.model.name for run_input in run.inputs if run_input.model_id is not None), f"run {run.id}"
        )
    }
    template = next(
        (run_input.template_version for run_input in run.inputs if run_input.template_version_id is not None), None
    )
    parts["template"] = f"{template.template.name}@{template.number}" if template is not None else "none"
    parts["shots"] = str(run.settings.get("k", 0))
    if run.settings.get("k"):
        parts["chosen by"] = str(run.settings.get("selector"))
    if "sampling" in run.settings:
        settings = vars(Sampling.from_dict(run.settings["sampling"]))
        parts |= {name.replace("_", "-"): _said(settings[name]) for name in SAMPLING_FIELDS}
    return parts


def _said(value: Any) -> str:
    return " ".join(map(repr, value)) or "none" if isinstance(value, list | tuple) else str(value)


def from_file(lab: LabContext, plan: CampaignPlan, path: Path, columns: Columns, filename: str = "") -> NewCampaign:
    """A campaign from JSON Lines, JSON, CSV or Parquet; raises BadRows with row and column."""
    tasks, has_systems = read(path, columns, filename)
    return _imported(lab, plan, tasks, Sources((), {"file": Path(filename or path).name, "unnamed": not has_systems}))


def from_dataset(lab: LabContext, plan: CampaignPlan, name: str, columns: Columns) -> NewCampaign:
    """A campaign from a dataset version."""
    view = datasets.show(lab, name)
    rows = (dict(row.values) for row in datasets.examples(lab, view.id))
    tasks, has_systems = _read(enumerate(rows, 1), columns)
    inputs = (RunInput(role="dataset", dataset_version_id=view.id, content_hash=view.content_hash),)
    return _imported(lab, plan, tasks, Sources(inputs, {"dataset": view.name, "unnamed": not has_systems}))


def _imported(lab: LabContext, plan: CampaignPlan, tasks: Sequence[RankingTask], sources: Sources) -> NewCampaign:
    """Candidates stay as the file has them, so that its figures are those that others count; but where the first of
    every pair is the chosen one, order by the seed, since agreement by chance would look large. The overlap is that of
    the votes in the file, and a campaign whose items have all of them asks for no more.
    """
    sided = any(name == IMPORTED for task in tasks for name, _ in task.votes)
    overlap = max((len(task.votes) for task in tasks), default=0)
    campaign = feedback.create(lab, replace(plan, overlap=overlap or plan.overlap), tasks, sources, ordered=not sided)
    if overlap:
        feedback.close_complete(lab, campaign.campaign)
    return replace(campaign, unnamed=bool((sources.told or {}).get("unnamed")))


def read(path: Path, columns: Columns, filename: str = "") -> tuple[list[RankingTask], bool]:
    """The items of a file, and whether a column names their systems; raises BadRows or LabError."""
    return _read(enumerate(readers.only_rows(guarded.read(path, filename or path.name)), 1), columns)


def _read(rows: Iterable[tuple[int, dict[str, Any]]], columns: Columns) -> tuple[list[RankingTask], bool]:
    """The items of these rows, and whether a column names their systems; raises BadRows or LabError."""
    all_columns: Columns | None = None
    tasks = []
    for number, row in rows:
        if all_columns is None:
            all_columns = guess_columns(columns, row)
        try:
            tasks.append(task_of(row, all_columns))
        except BadCell as problem:
            raise BadRows((BadRow(number, problem.column, problem.reason),), 1) from None
        except LabError as problem:
            raise BadRows((BadRow(number, None, str(problem).rstrip(".")),), 1) from None
    return tasks, all_columns is None or bool(all_columns.systems)


def guess_systems(rows: Sequence[dict[str, Any]], columns: Columns) -> Columns:
    """`known` with a column that joins the names of the systems, where one of the others looks like that: in every row
    it splits into as many short names as there are candidates, and names come back from row to row.
    """
    if columns.systems or len(columns.completions) < 2:
        return columns
    size = len(columns.completions)
    used_names = {*columns.prompt, *columns.completions, *columns.votes, columns.gold}
    for name in rows[0] if len(rows) > 1 else ():
        if name in used_names:
            continue
        for separator in SEPARATORS:
            split_cells = [split_names(row.get(name), separator) for row in rows]
            names = [part for parts in split_cells for part in parts]
            short = all(0 < len(part) <= 60 for part in names)
            if short and all(len(parts) == size for parts in split_cells) and 1 < len(set(names)) < len(names):
                return replace(columns, systems=(name,), separator=separator)
    return columns


def guess_columns(columns: Columns, row: dict[str, Any]) -> Columns:
    """What was not said is guessed from the names; raises LabError where prompt or completions cannot be found."""
    names = list(row)
    prompt = columns.prompt or tuple(name for name in PROMPTS[:1] if name in names) or _prompts(names)
    completions = columns.completions
    if not completions and "completions" in names:
        completions = ("completions",)
    if not completions and set(names) >= PAIR:
        completions = ("chosen", "rejected")
    if not completions:
        start = next((word for word in STARTS if sum(name.startswith(word) for name in names) > 1), None)
        completions = tuple(name for name in names if start and name.startswith(start))
    for name in (*prompt, *completions, *columns.systems, *columns.votes, *((columns.gold,) if columns.gold else ())):
        if name not in names:
            raise LabError(f"There is no column {name!r}. There are: {', '.join(names)}.")
    if not completions or not (prompt or set(completions) == PAIR):
        missing = "prompt" if not prompt else "completions"
        raise LabError(f"No column was found for the {missing}; name it. There are: {', '.join(names)}.")
    systems = columns.systems or tuple(name for name in ("systems",) if name in names)
    votes = columns.votes or tuple(name for name in names if name.startswith("annotator") and name != "annotator")
    gold = columns.gold or ("gold" if "gold" in names else "")
    return Columns(tuple(prompt), tuple(completions), systems, votes, gold, columns.separator)


def _prompts(names: Sequence[str]) -> tuple[str, ...]:
    if "instruction" in names:
        return tuple(name for name in ("instruction", "input") if name in names)
    return tuple(name for name in PROMPTS if name in names)[:1]
