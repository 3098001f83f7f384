"""The first batch of a run as the model will read it, token by token."""

from dataclasses import dataclass

from genai_lab.context import LabContext
from genai_lab.services.training.preparation import Prepared, encoding_context, prepare
from genai_lab.services.training.resolution import resolve
from genai_lab.training.batches import training_dataset
from genai_lab.training.examples import IGNORED, ShownRow
from genai_lab.training.plan import TrainingPlan
from genai_lab.views import View

SHOWN_ROWS = 8


@dataclass(frozen=True)
class FirstBatch(View):
    """`padding` is the share of the batch's tokens that are padding; `prepared` counts rows of the whole run.

    `form` says whether the rows are read in a chat template.
    """

    rows: tuple[ShownRow, ...]
    batch: int
    width: int
    padding: float
    prepared: Prepared
    trained_tokens: int
    form: str = ""


def first_batch(lab: LabContext, plan: TrainingPlan) -> FirstBatch:
    """Raises LabError for whatever the run would be refused for."""
    from genai_lab.training.loading import load_tokenizer

    resolved = resolve(lab, plan)
    tokenizer = load_tokenizer(resolved.folder)
    prepared, context = prepare(resolved, tokenizer), encoding_context(resolved, tokenizer)
    objective = resolved.objective
    dataset = training_dataset(
        plan, prepared.train, prepared.steps, objective, context, prepared.passes, prepared.rows_per_source
    )
    size = plan.training.per_device_batch_size
    features = [dataset[position] for position in range(size)]
    sequences = [sequence for row in features for sequence in objective.sequences(row)]
    width = max(len(sequence.ids) for sequence in sequences)
    trained = sum(label != IGNORED for sequence in sequences for label in sequence.labels)
    padding = 1 - sum(len(sequence.ids) for sequence in sequences) / (width * len(sequences))
    rows = tuple(objective.show(row, width, context) for row in features[:SHOWN_ROWS])
    return FirstBatch(rows, size, width, padding, prepared, trained, resolved.format_sentence)
