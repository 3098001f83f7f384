"""BERTScore: how well the tokens of a completion and a reference match by their vectors (Zhang et al., 2020).

Computed by the authors' library, bert-score, where it is installed, with an encoder of the catalogue.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.metrics.base import METRICS, PredictionsPerRow, Requirements, Rows


@dataclass(frozen=True)
class Settings:
    model: str = field(
        default="", metadata={"help": "An encoder of the catalogue; empty: the first embedder.", "role": "embed"}
    )
    layer: int = field(
        default=0, metadata={"low": 0, "high": 200, "help": "Whose vectors are compared; 0 is the last one."}
    )


class BertScore:
    name = "bertscore"
    title = "BERTScore"
    about = "Precision, recall and F1 of token vectors matched by cosine, by the library bert-score; not rescaled."
    citation = "Zhang et al., 2020: BERTScore, evaluating text generation with BERT"
    needs = "model"
    predictions_per_row: PredictionsPerRow = "one"
    settings = Settings
    figures = (
        Figure("bertscore_f1", "BERTScore F1", low=-1.0),
        Figure("bertscore_precision", "BERTScore precision", low=-1.0, more=True),
        Figure("bertscore_recall", "BERTScore recall", low=-1.0, more=True),
    )

    def requirements(self, settings: Settings) -> Requirements:
        return Requirements(references=True, scorer="token vectors", model=settings.model)

    def rows(
        self, predictions: Sequence[str], references: Sequence[Sequence[str]], settings: Settings, model: Any = None
    ) -> Rows:
        if model is None:
            raise LabError("BERTScore needs an encoder of the catalogue; add one, such as MiniLM.")
        # The library reads no empty text; where one side is empty nothing matches.
        kept = [[text for text in texts if text.strip()] for texts in references]
        places = [place for place, text in enumerate(predictions) if text.strip() and kept[place]]
        values = np.zeros((len(predictions), 3))
        if places:
            values[places] = model.bert_scores([predictions[place] for place in places], [kept[n] for n in places])
        names = ("bertscore_precision", "bertscore_recall", "bertscore_f1")
        return Rows({name: Sample(values[:, n]) for n, name in enumerate(names)}, model.bert_score_signature)


METRICS.register(BertScore.name)(BertScore())
