"""lm-evaluation-harness as an optional guest: its tasks run on a model of ours, its samples come back as rows.

Source: Gao et al. 2021, "A framework for few-shot language model evaluation". It is installed with
`pip install -r requirements-harness.txt`; nothing else of the lab needs it.
"""

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_lab.errors import LabError

MISSING = "lm-evaluation-harness is not installed; run pip install -r requirements-harness.txt, then try again."
BATCH = 8
Z = 1.959964


@dataclass(frozen=True)
class HarnessFigure:
    """One of the harness' figures on a task.

    `values` is each row's own value, None where the figure is one of the whole set; then `low` and `high` are 1.96
    standard errors away, where the harness gives one.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    values: tuple[float, ...] | None


@dataclass(frozen=True)
class HarnessRow:
    """A document of a task: what the model read, what was wanted, what it said or chose."""

    prompt: str
    target: str
    text: str


@dataclass(frozen=True)
class HarnessResult:
    """One task on one model; `signature` names harness, task version and shots."""

    task: str
    signature: str
    rows: tuple[HarnessRow, ...]
    figures: tuple[HarnessFigure, ...]


def is_installed() -> bool:
    return importlib.util.find_spec("lm_eval") is not None


def require() -> None:
    """Raises LabError where the harness is not installed."""
    if not is_installed():
        raise LabError(MISSING)


def task_names(folder: Path | None = None) -> list[str]:
    """Every task and group that the harness knows, with those of a folder of YAML files; raises LabError."""
    return sorted(_manager(folder).all_tasks)


def run(
    module: Any,
    tokenizer: Any,
    tasks: Sequence[str],
    *,
    shots: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    folder: Path | None = None,
) -> list[HarnessResult]:
    """The tasks on a loaded transformers model; raises LabError for an unknown task or data that cannot be had."""
    require()
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    manager = _manager(folder)
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise LabError(f"The harness has no task {unknown[0]!r}; `evaluate harness --list` shows those it has.")
    kind = "seq2seq" if module.config.is_encoder_decoder else "causal"
    model = HFLM(pretrained=module, tokenizer=tokenizer, backend=kind, batch_size=BATCH)
    seeds = {f"{name}_seed": seed for name in ("numpy_random", "torch_random", "fewshot_random")}
    try:
        results: Any = simple_evaluate(
            model=model,
            tasks=list(tasks),
            num_fewshot=shots,
            limit=limit,
            bootstrap_iters=0,
            task_manager=manager,
            random_seed=seed,
            **seeds,
        )
    except Exception as problem:
        raise LabError(_error_text(problem, tasks)) from problem
    return [_result(name, results, seed) for name in results["samples"]]


def _manager(folder: Path | None) -> Any:
    require()
    from lm_eval.tasks import TaskManager

    if folder is not None and not folder.is_dir():
        raise LabError(f"The task folder {folder} is not there; name a folder with YAML files of tasks.")
    return TaskManager(include_path=str(folder) if folder else None)


def _error_text(problem: Exception, tasks: Sequence[str]) -> str:
    text = " ".join(str(problem).split())[:300]
    named = ", ".join(tasks)
    if isinstance(problem, ConnectionError | OSError) or "couldn't reach" in text.lower() or "offline" in text.lower():
        return f"The data of {named} cannot be fetched ({text}); check the network, or give tasks over local files."
    return f"The harness failed on {named} ({type(problem).__name__}: {text}); the log has the details."


def _result(task: str, results: Any, seed: int) -> HarnessResult:
    samples = results["samples"][task]
    first = samples[0]["filter"]
    rows = tuple(_row(sample) for sample in samples if sample["filter"] == first)
    version, shots = results["versions"].get(task, "?"), results["n-shot"].get(task, 0)
    signature = f"lm_eval:{importlib.metadata.version('lm_eval')}|task:{task}|version:{version}|shots:{shots}"
    figures = []
    for key, value in results["results"][task].items():
        name, _, kind = key.partition(",")
        if not kind or name.endswith("_stderr") or not isinstance(value, int | float):
            continue
        values = [sample[name] for sample in samples if sample["filter"] == kind and name in sample]
        title = name if kind == "none" else f"{name} ({kind})"
        figures.append(
            _figure(title, float(value), values, results["results"][task].get(f"{name}_stderr,{kind}"), seed)
        )
    return HarnessResult(task, signature, rows, tuple(figures))


def _figure(name: str, value: float, values: Sequence[Any], error: Any, seed: int) -> HarnessFigure:
    """With an interval of the lab's own where the figure is the mean of its rows."""
    import numpy as np

    from genai_lab.evaluation.figures import HARNESS, figure_of
    from genai_lab.evaluation.statistics import interval
    from genai_lab.metrics import Sample

    if (
        values
        and all(isinstance(number, int | float) for number in values)
        and abs(float(np.mean(values)) - value) < 1e-9
    ):
        figure = figure_of(HARNESS, name)
        sample = Sample(np.array(values, dtype=float), proportion=set(values) <= {0, 1})
        ends = interval(sample, bounds=(figure.low, figure.high), seed=seed)
        return HarnessFigure(name, value, ends.low, ends.high, tuple(float(number) for number in values))
    if isinstance(error, int | float):
        return HarnessFigure(name, value, value - Z * error, value + Z * error, None)
    return HarnessFigure(name, value, None, None, None)


def _row(sample: dict[str, Any]) -> HarnessRow:
    """Of a choice among continuations, the likeliest one is what the model said."""
    arguments, responses = sample["arguments"], sample["filtered_resps"]
    texts = [argument[1] if len(argument) > 1 and isinstance(argument[1], str) else "" for argument in arguments]
    target = sample["target"]
    if isinstance(target, int) and 0 <= target < len(texts):
        target = texts[target]
    if isinstance(responses[0], list | tuple):
        likeliest = max(range(len(responses)), key=lambda index: responses[index][0])
        responses = [texts[likeliest]]
    return HarnessRow(str(arguments[0][0]), _text(target), _text(responses[0]))


def _text(value: Any) -> str:
    return (
        value.strip()
        if isinstance(value, str)
        else "\n".join(map(_text, value))
        if isinstance(value, list)
        else str(value)
    )
