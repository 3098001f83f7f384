"""What a base is loaded as: which class, with which settings, and how the catalogue calls the tuned model."""

from collections.abc import Sequence
from typing import Any

from genai_lab.models import Role
from genai_lab.training.plan import Architecture


class LanguageModel:
    """A decoder or an encoder-decoder that writes text."""

    whole_folder = False  # whether what is left of a run must be a whole model, never an adapter

    def auto_class(self, architecture: Architecture) -> Any:
        """transformers' class that loads such a base."""
        import transformers

        if architecture == "encoder-decoder":
            return transformers.AutoModelForSeq2SeqLM
        return transformers.AutoModelForCausalLM

    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        """Settings of its configuration, which `from_pretrained` takes too."""
        return {}

    def loading(self, labels: Sequence[str]) -> dict[str, Any]:
        """Arguments of `from_pretrained`."""
        return self.config(labels)

    def family(self, base: str) -> str:
        """The family of the tuned model in the catalogue, given the base's."""
        return base

    def role(self, base: str) -> Role:
        roles: dict[str, Role] = {"classifier": "classify", "encoder": "embed"}
        return roles.get(self.family(base), "generate")

    def memory_family(self, architecture: Architecture) -> str:
        """Which batches the memory plan feeds it with (`memory.batch_of`)."""
        return architecture


class MaskedLanguageModel(LanguageModel):
    """An encoder that finds hidden tokens."""

    def auto_class(self, architecture: Architecture) -> Any:
        import transformers

        return transformers.AutoModelForMaskedLM

    def family(self, base: str) -> str:
        return "encoder"

    def memory_family(self, architecture: Architecture) -> str:
        return "masked"


class SequenceClassifier(LanguageModel):
    """A head with an output for each label; one that the base lacks is new."""

    def auto_class(self, architecture: Architecture) -> Any:
        import transformers

        return transformers.AutoModelForSequenceClassification

    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
            "problem_type": "single_label_classification",
        }

    def loading(self, labels: Sequence[str]) -> dict[str, Any]:
        return self.config(labels) | {"ignore_mismatched_sizes": True}

    def family(self, base: str) -> str:
        return "classifier"

    def memory_family(self, architecture: Architecture) -> str:
        return "classifier"


class SequenceScorer(SequenceClassifier):
    """A reward model: a classifier with a single output, read at the last token that is no padding."""

    whole_folder = True

    def config(self, labels: Sequence[str]) -> dict[str, Any]:
        return {"id2label": {0: "reward"}, "label2id": {"reward": 0}, "problem_type": "regression"}

    def role(self, base: str) -> Role:
        return "reward"

    def memory_family(self, architecture: Architecture) -> str:
        return "reward"


LANGUAGE_MODEL, MASKED_LANGUAGE_MODEL, CLASSIFIER, SCORER = (
    LanguageModel(),
    MaskedLanguageModel(),
    SequenceClassifier(),
    SequenceScorer(),
)
