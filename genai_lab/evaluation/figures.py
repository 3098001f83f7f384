"""What is known of a figure by the names of its metric and itself; lm-evaluation-harness brings figures of its own."""

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Figure
from genai_lab.metrics.base import METRICS

HARNESS = "harness"
SHARES = ("acc", "acc_norm", "exact_match", "f1", "em", "mc1", "mc2", "acc_mutual_info")
LOWER = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "ter", "brier_score")


def figure_of(metric: str, name: str) -> Figure:
    """Raises LabError where the metric has no such figure; the harness brings its own, known by their names."""
    if metric == HARNESS:
        base_name = name.partition(" ")[0]
        low, high = (0.0, 1.0) if base_name in SHARES else (None, None)
        return Figure(name, name.replace("_", " "), low, high, higher_is_better=base_name not in LOWER)
    owner = METRICS.get(metric)
    for figure in owner.figures:
        if figure.name == name:
            return figure
    raise LabError(f"{owner.title} has no figure {name!r}. Known: {', '.join(item.name for item in owner.figures)}.")


def title_of(metric: str) -> str:
    return "Harness" if metric == HARNESS else METRICS.get(metric).title
