"""Models that judge texts instead of writing them: a classifier's probability, a language model's log-probability."""

from collections.abc import Sequence
from typing import Any

from genai_lab.errors import ModelError
from genai_lab.models import Card
from genai_lab.models.embedder import pooled_vectors
from genai_lab.models.loading import reading_weights
from genai_lab.models.pooling import Pooling
from genai_lab.models.scorer import LogProbability, Scorer, Vectors
from genai_lab.models.tokenizer_panics import clear_panics
from genai_lab.models.transformers import bytes_of

BATCH = 32
LOGITS = 2**26
MEAN = Pooling()
WRONG = ("toxic", "toxicity", "offensive", "hate", "abusive", "label_1", "1")


class TextScorer(Scorer):
    """A loaded model. `hash` says which it was: the content hash, or the name where there is none.

    Raises ModelError where the model cannot be loaded or is of another family.
    """

    def __init__(self, card: Card) -> None:
        import torch
        from transformers import (
            AutoModelForCausalLM,
            AutoModelForSeq2SeqLM,
            AutoModelForSequenceClassification,
            AutoTokenizer,
        )

        if card.path is None:
            raise ModelError(f"{card.name} is not a local model, so it cannot judge texts; choose a local one.")
        kinds: dict[str, Any] = {
            "classifier": AutoModelForSequenceClassification,
            "decoder-only": AutoModelForCausalLM,
            "encoder-decoder": AutoModelForSeq2SeqLM,
        }
        if card.family not in kinds:
            raise ModelError(
                f"{card.name} is of the family {card.family}, which judges no texts; choose a local model."
            )
        options = {"trust_remote_code": False, "local_files_only": True}
        super().__init__(card)
        self._tokenizer = AutoTokenizer.from_pretrained(card.path, **options)
        kind = kinds[card.family]
        with reading_weights():
            self._module = kind.from_pretrained(card.path, use_safetensors=True, dtype=torch.float32, **options)
        self._module.eval()
        self.tensor_bytes = bytes_of(self._module)
        limit = getattr(self._module.config, "max_position_embeddings", 512)
        self._longest = min(int(limit), int(self._tokenizer.model_max_length)) - 2
        self._tokenizer.padding_side = "right"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.unk_token

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        """P(label) of each text, 0 to 1; without a label the one whose name says that something is wrong."""
        import torch

        if self.card.family != "classifier":
            return super().scores(texts, label)
        column = self._place(label)
        values: list[float | None] = []
        for start in range(0, len(texts), BATCH):
            coded = self._coded(texts[start : start + BATCH])
            with torch.inference_mode():
                values += self._module(**coded.to(self._module.device)).logits.softmax(-1)[:, column].tolist()
        return values

    def label_values(self, texts: Sequence[str], label: str = "", form: str = "log-odds") -> list[float]:
        """Of each text the label's log-odds log p / (1 - p) in nats, its logit or its probability, as `form` says.

        Log-odds are made of logits, so that they stay finite where p rounds to 1. Raises ModelError as `scores`.
        """
        import torch

        column = self._place(label)
        values: list[float] = []
        for start in range(0, len(texts), BATCH):
            coded = self._coded(texts[start : start + BATCH])
            with torch.inference_mode():
                logits = self._module(**coded.to(self._module.device)).logits.float()
            if form == "probability":
                logits = logits.softmax(-1)
            others = torch.cat([logits[:, :column], logits[:, column + 1 :]], 1).logsumexp(1)
            values += (logits[:, column] - others if form == "log-odds" else logits[:, column]).tolist()
        return values

    def to(self, device: str) -> None:
        """Moves the weights to a device."""
        self._module.to(device)

    @property
    def reads_input(self) -> bool:
        """Whether log-probabilities are of the text given an input."""
        return self.card.family == "encoder-decoder"

    def log_probabilities(self, texts: Sequence[str], inputs: Sequence[str] = ()) -> list[LogProbability]:
        """Of each text alone, after the model's own start, or given its input; a text beyond the context is cut.

        A decoder-only model without a start token does not judge the first token. Raises ModelError for an
        encoder-decoder without an input a text.
        """
        if self.card.family == "classifier":
            raise ModelError(f"{self.card.name} is a classifier; choose a model that writes text.")
        if self.reads_input and len(inputs) != len(texts):
            raise ModelError(
                f"{self.card.name} reads an input before each text; name it, or choose a decoder-only one."
            )
        results = [LogProbability(0.0, 0)] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        step = max(1, min(BATCH, LOGITS // (self._longest * self._module.config.vocab_size)))
        for start in range(0, len(order), step):
            places = order[start : start + step]
            for index, value in zip(places, self._batch(texts, inputs, places), strict=True):
                results[index] = value
        return results

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The mean of a classifier's token vectors before its head, normalised."""
        if self.card.family != "classifier":
            return super().embed(texts)
        return pooled_vectors(self._module.base_model, self._tokenizer, texts, MEAN, self._longest)

    @property
    def vector_signature(self) -> str:
        return MEAN.signature

    def close(self) -> None:
        self._module = None

    def _batch(self, texts: Sequence[str], inputs: Sequence[str], places: Sequence[int]) -> list[LogProbability]:
        """One batch, padded on the right."""
        import torch

        coded = self._coded([texts[index] for index in places])
        ids, mask = coded["input_ids"], coded["attention_mask"].clone()
        if ids.shape[1] == 0:
            return [LogProbability(0.0, 0)] * len(places)
        with torch.inference_mode():
            if self.reads_input:
                read = self._coded([inputs[index] for index in places])
                logits = self._module(**read, labels=ids.masked_fill(mask == 0, -100)).logits
            else:
                logits = self._module(**coded).logits[:, :-1]
                ids, mask = ids[:, 1:], mask[:, 1:]
            log_shares = logits.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0] * mask
        return [LogProbability(*sums) for sums in zip(log_shares.sum(-1).tolist(), mask.sum(-1).tolist(), strict=True)]

    @clear_panics("The tokenizer")
    def _coded(self, texts: Sequence[str]) -> Any:
        coded = self._tokenizer(
            list(texts), padding=len(texts) > 1, truncation=True, max_length=self._longest, return_tensors="pt"
        )
        coded.pop("token_type_ids", None)
        return coded

    def _place(self, label: str) -> int:
        names = {str(name).lower(): int(index) for index, name in self._module.config.id2label.items()}
        for name in (label.lower(),) if label else WRONG:
            if name in names:
                return names[name]
        raise ModelError(f"{self.card.name} has no label {label or 'toxic'!r}. It has: {', '.join(names)}.")
