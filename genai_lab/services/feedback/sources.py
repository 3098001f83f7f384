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
from genai_lab.feedback import LONGEST_TEXT, MOST, CampaignPlan, Option, Task
from genai_lab.services import datasets, feedback, generation
from genai_lab.services.feedback import Made, Sources
from genai_lab.services.feedback.file_rows import IMPORTED, PAIR, BadCell, Columns, split_names, task_of
from genai_lab.services.packing import asked_of
from storage import evaluation as evaluations
from storage import runs
from storage.tables import Run, RunInput

PROMPTS = ("prompt", "instruction", "question", "input", "messages", "conversations", "conversation")
STARTS = ("completion", "response", "candidate", "answer", "output")
SEPARATORS = (" vs. ", " vs ", "|", ";", ",", "/", "_")
TOLD = tuple(one.name for one in fields(Sampling) if one.name not in ("seed", "num_return_sequences"))


def from_runs(lab: LabContext, plan: CampaignPlan, run_ids: Sequence[int]) -> Made:
    """A campaign from runs of the playground, cells of a matrix or systems; a matrix or an evaluation means its own.

    Completions of the same dataset row, or of the same prompt, are the candidates of one item; where there are more
    than an item takes, each system gives one in turn, and `Made.cut` counts the rest.
    """
    found = _opened(lab, run_ids)
    tasks, cut = _tasks(lab, found)
    if not tasks and len(found) == 1 and len(_completions(lab, found[0])) < 2:
        raise LabError(
            f"Run {found[0].id} has one completion, and a campaign compares two at least; name another run of the same "
            "prompt beside it, or draw several completions (--num-return-sequences 4, or Compare on the page)."
        )
    if not tasks:
        raise LabError(
            "These runs have no two different completions of the same prompt or dataset row; choose runs that answer "
            "the same prompts and have ended, or draw with a temperature above 0."
        )
    inputs = tuple(RunInput(role=f"source {n}", source_run_id=run.id) for n, run in enumerate(found, 1))
    made = feedback.create(lab, plan, tasks, Sources(inputs, {"runs": [run.id for run in found]}))
    return replace(made, cut=cut)


def _completions(lab: LabContext, run: Run) -> list[Any]:
    with lab.database.reading() as session:
        whole = runs.run_with_all(session, run.id)
        return list(whole.generations) if whole is not None else []


def from_group(lab: LabContext, plan: CampaignPlan, group: str) -> Made:
    """A campaign from a comparison of the playground."""
    return from_runs(lab, plan, [view.id for view in generation.group_runs(lab, group)])


def tasks_of(lab: LabContext, run_ids: Sequence[int]) -> list[Task]:
    """The items that these runs' completions make."""
    return _tasks(lab, _opened(lab, run_ids))[0]


def _opened(lab: LabContext, run_ids: Sequence[int]) -> list[Run]:
    """The runs that generated; those that stand for others (matrix, evaluation, a comparison) are taken apart."""
    made: dict[int, Run] = {}
    wanted: Sequence[Run | None]
    with lab.database.reading() as session:
        for run_id in run_ids:
            run = evaluations.run_with_inputs(session, run_id) if 0 < run_id < 2**31 else None
            if run is None:
                raise LabError(f"There is no run {run_id}; the history lists those there are.")
            if run.kind == evaluations.EVALUATION:
                wanted = [evaluations.run_with_inputs(session, one) for one in run.settings.get("systems", ())]
            elif run.kind == "matrix":
                wanted = evaluations.runs_of_kind(session, evaluations.SYSTEM, parent=run.id)[::-1]
            elif run.group and len(run_ids) == 1:
                wanted = runs.runs_of_group(session, run.group)
            else:
                wanted = [run]
            made |= {one.id: one for one in wanted if one is not None}
    return list(made.values())


def _tasks(lab: LabContext, found: Sequence[Run]) -> tuple[list[Task], int]:
    """Items, and how many different candidates had no place in theirs."""
    grouped: dict[Any, list[tuple[str, Option]]] = {}
    names = _names(found)
    with lab.database.reading() as session:
        for run in found:
            whole = runs.run_with_all(session, run.id)
            version = next((one.dataset_version_id for one in run.inputs if one.dataset_version_id), None)
            for one in whole.generations if whole else ():
                if (one.detail or {}).get("error") or one.finish_reason in NO_ANSWER:
                    continue
                prompt = asked_of(run.settings, one.rendered_prompt)
                # Row 5 of another dataset is another prompt.
                key = (version, one.example) if version and one.example is not None else prompt
                option = Option(names[run.id], one.text[:LONGEST_TEXT], one.id)
                grouped.setdefault(key, []).append((prompt, option))
    texts = _asked(lab, [key for key in grouped if isinstance(key, tuple)])
    made, cut = [], 0
    for key, members in grouped.items():
        prompts = {prompt for prompt, _ in members}
        same = next(iter(prompts)) if len(prompts) == 1 else texts.get(key, members[0][0])
        options = _in_turn(_different([option for _, option in members]))
        if len(options) > 1:
            made.append(Task(same[:LONGEST_TEXT], tuple(options[:MOST])))
            cut += len(options[MOST:])
    return made, cut


def _asked(lab: LabContext, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """What rows ask, by (dataset version, row)."""
    rows: dict[int, list[int]] = {}
    for version, row in keys:
        rows.setdefault(version, []).append(row)
    return {(version, one.key): one.input for version, own in rows.items() for one in datasets.pick(lab, version, own)}


def _different(options: Sequence[Option]) -> list[Option]:
    """Equal candidates once, so that the places are left for different ones."""
    kept: dict[str, Option] = {}
    for option in options:
        kept.setdefault(option.text.strip(), option)
    return list(kept.values())


def _in_turn(options: Sequence[Option]) -> list[Option]:
    """The first of every system, then the second of each: where an item is full, none has been left out for another."""
    seen: Counter[str] = Counter()
    turns = []
    for option in options:
        turns.append(seen[option.system])
        seen[option.system] += 1
    return [options[place] for place in sorted(range(len(options)), key=turns.__getitem__)]


def _names(found: Sequence[Run]) -> dict[int, str]:
    """Each run's system: its model, with what else tells the runs apart."""
    parts = {run.id: _parts(run) for run in found}
    keys = dict.fromkeys(key for own in parts.values() for key in own if key != "model")
    told = [key for key in keys if len({own[key] for own in parts.values() if key in own}) > 1]
    return {
        run: ", ".join([own["model"], *(f"{key} {own[key]}" for key in told if key in own)])
        for run, own in parts.items()
    }


def _parts(run: Run) -> dict[str, str]:
    """What a run's system is; what was uploaded has no settings."""
    made = {"model": next((one.model.name for one in run.inputs if one.model_id is not None), f"run {run.id}")}
    template = next((one.template_version for one in run.inputs if one.template_version_id is not None), None)
    made["template"] = f"{template.template.name}@{template.number}" if template is not None else "none"
    made["shots"] = str(run.settings.get("k", 0))
    if run.settings.get("k"):
        made["chosen by"] = str(run.settings.get("selector"))
    if "sampling" in run.settings:
        settings = vars(Sampling.from_dict(run.settings["sampling"]))
        made |= {name.replace("_", "-"): _said(settings[name]) for name in TOLD}
    return made


def _said(value: Any) -> str:
    return " ".join(map(repr, value)) or "none" if isinstance(value, list | tuple) else str(value)


def from_file(lab: LabContext, plan: CampaignPlan, path: Path, columns: Columns, filename: str = "") -> Made:
    """A campaign from JSON Lines, JSON, CSV or Parquet; raises BadRows with row and column."""
    tasks, named = read(path, columns, filename)
    return _imported(lab, plan, tasks, Sources((), {"file": Path(filename or path).name, "unnamed": not named}))


def from_dataset(lab: LabContext, plan: CampaignPlan, name: str, columns: Columns) -> Made:
    """A campaign from a dataset version."""
    view = datasets.show(lab, name)
    rows = (dict(row.values) for row in datasets.examples(lab, view.id))
    tasks, named = _read(enumerate(rows, 1), columns)
    inputs = (RunInput(role="dataset", dataset_version_id=view.id, content_hash=view.content_hash),)
    return _imported(lab, plan, tasks, Sources(inputs, {"dataset": view.name, "unnamed": not named}))


def _imported(lab: LabContext, plan: CampaignPlan, tasks: Sequence[Task], found: Sources) -> Made:
    """Candidates stay as the file has them, so that its figures are those that others count; but where the first of
    every pair is the chosen one, order by the seed, since agreement by chance would look large. The overlap is that of
    the votes in the file, and a campaign whose items have all of them asks for no more.
    """
    sided = any(name == IMPORTED for task in tasks for name, _ in task.votes)
    overlap = max((len(task.votes) for task in tasks), default=0)
    made = feedback.create(lab, replace(plan, overlap=overlap or plan.overlap), tasks, found, ordered=not sided)
    if overlap:
        feedback.close_complete(lab, made.campaign)
    return replace(made, unnamed=bool((found.told or {}).get("unnamed")))


def read(path: Path, columns: Columns, filename: str = "") -> tuple[list[Task], bool]:
    """The items of a file, and whether a column names their systems; raises BadRows or LabError."""
    return _read(enumerate(readers.only_rows(guarded.read(path, filename or path.name)), 1), columns)


def _read(rows: Iterable[tuple[int, dict[str, Any]]], columns: Columns) -> tuple[list[Task], bool]:
    """The items of these rows, and whether a column names their systems; raises BadRows or LabError."""
    known: Columns | None = None
    tasks = []
    for number, row in rows:
        if known is None:
            known = guessed(columns, row)
        try:
            tasks.append(task_of(row, known))
        except BadCell as problem:
            raise BadRows((BadRow(number, problem.column, problem.reason),), 1) from None
        except LabError as problem:
            raise BadRows((BadRow(number, None, str(problem).rstrip(".")),), 1) from None
    return tasks, known is None or bool(known.systems)


def guess_systems(rows: Sequence[dict[str, Any]], known: Columns) -> Columns:
    """`known` with a column that joins the names of the systems, where one of the others looks like that: in every row
    it splits into as many short names as there are candidates, and names come back from row to row.
    """
    if known.systems or len(known.completions) < 2:
        return known
    size = len(known.completions)
    taken = {*known.prompt, *known.completions, *known.votes, known.gold}
    for name in rows[0] if len(rows) > 1 else ():
        if name in taken:
            continue
        for separator in SEPARATORS:
            found = [split_names(row.get(name), separator) for row in rows]
            names = [part for parts in found for part in parts]
            short = all(0 < len(part) <= 60 for part in names)
            if short and all(len(parts) == size for parts in found) and 1 < len(set(names)) < len(names):
                return replace(known, systems=(name,), separator=separator)
    return known


def guessed(columns: Columns, row: dict[str, Any]) -> Columns:
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
        lacking = "prompt" if not prompt else "completions"
        raise LabError(f"No column was found for the {lacking}; name it. There are: {', '.join(names)}.")
    systems = columns.systems or tuple(name for name in ("systems",) if name in names)
    votes = columns.votes or tuple(name for name in names if name.startswith("annotator") and name != "annotator")
    gold = columns.gold or ("gold" if "gold" in names else "")
    return Columns(tuple(prompt), tuple(completions), systems, votes, gold, columns.separator)


def _prompts(names: Sequence[str]) -> tuple[str, ...]:
    if "instruction" in names:
        return tuple(name for name in ("instruction", "input") if name in names)
    return tuple(name for name in PROMPTS if name in names)[:1]
