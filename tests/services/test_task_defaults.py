"""What is proposed for a dataset: template, metrics and length."""

import pytest

from genai_lab.context import LabContext
from genai_lab.metrics import METRICS
from genai_lab.services import datasets, task_defaults


@pytest.mark.parametrize(
    ("row", "metrics", "length"),
    [
        ({"text": "Win a prize", "label": "spam"}, ("classification",), 16),
        ({"dialogue": "A: Hi.", "summary": "They meet."}, ("rouge",), 128),
        ({"en": "Good day", "fr": "Bonjour"}, ("bleu", "chrf"), 64),
        ({"question": "Does it?", "answer": "Yes"}, ("exact_match", "token_f1"), 32),
    ],
)
def test_metrics_and_length_suit_the_task(
    lab: LabContext, row: dict[str, str], metrics: tuple[str, ...], length: int
) -> None:
    rows = [row, {key: f"{value} too" for key, value in row.items()}]
    version = task_defaults.for_dataset(
        lab, datasets.import_rows(lab, rows, f"proposed-{length}", {"kind": "typed"}).name
    )
    assert (version.metrics, version.max_new_tokens) == (metrics, length)
    assert version.best == version.templates[0].view.template


def test_every_proposed_metric_is_one() -> None:
    assert {name for names in task_defaults.METRICS.values() for name in names} <= set(METRICS)
