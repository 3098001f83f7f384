"""starter-toxicity: masked language modelling, then toxic against polite."""

import random
from typing import Any

from genai_lab.starter.recipes import RECIPES
from genai_lab.starter.tasks import TASKS
from genai_lab.starter.tokenizer import build_tokenizer
from genai_lab.starter.training import Phase

ROWS = 64
MASKED = 0.15
LABELS = ("polite", "toxic")


class Toxicity:
    name = "starter-toxicity"
    about = "Encoder (RoBERTa architecture) with a classifier: polite or toxic."

    def tokenizer(self, seed: int) -> Any:
        return build_tokenizer("encoder", seed)

    def model(self, tokenizer: Any) -> Any:
        import torch
        from transformers import RobertaConfig, RobertaForSequenceClassification

        config = RobertaConfig(  # type: ignore[call-arg]
            vocab_size=len(tokenizer),
            hidden_size=192,
            num_hidden_layers=3,
            num_attention_heads=6,
            intermediate_size=512,
            max_position_embeddings=514,
            type_vocab_size=1,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            num_labels=2,
            id2label=dict(enumerate(LABELS)),
            label2id={label: i for i, label in enumerate(LABELS)},
        )
        model = RobertaForSequenceClassification(config)
        # Only for pre-training; it is dropped when the model is saved.
        model.pretraining_head = torch.nn.Linear(192, len(tokenizer))
        return model

    def rate_of(self, name: str, weight: Any) -> float:
        return 1.0

    def phases(self, tokenizer: Any, seed: int, scale: float) -> list[Phase]:
        self._tokenizer = tokenizer
        first, second = max(1, int(250 * scale)), max(1, int(250 * scale))
        return [
            Phase("masked language modelling", first, 1e-3, self._masked, _masked_loss, 250),
            Phase("classification", second, 3e-4, self._labelled, _label_loss, 100),
        ]

    def evaluate(self, model: Any, tokenizer: Any) -> dict[str, float]:
        scores, truth = held_out_scores(model, tokenizer, "validation", 200)
        return {"accuracy": sum((score > 0.5) == toxic for score, toxic in zip(scores, truth, strict=True)) / 200}

    def _masked(self, rng: random.Random, step: int) -> dict[str, Any]:
        """15 % of the tokens, of which 80 % masked and 10 % random (Devlin et al., 2019, section 3.1)."""
        import torch

        tasks = [TASKS.get(rng.choice(("reply", "reply", "sentiment", "story"))) for _ in range(ROWS)]
        examples = [task.draw(rng, "train") for task in tasks]
        texts = [rng.choice((example.source, example.references[0])) for example in examples]
        batch = self._coded(texts)
        ids = batch["input_ids"]
        special = ids < 4
        masked = (torch.rand(ids.shape) < MASKED) & ~special
        batch["labels"] = torch.where(masked, ids, -100)
        dice = torch.rand(ids.shape)
        batch["input_ids"] = torch.where(masked & (dice < 0.8), self._tokenizer.mask_token_id, ids)
        noise = torch.randint(4, len(self._tokenizer), ids.shape)
        batch["input_ids"] = torch.where(masked & (dice > 0.9), noise, batch["input_ids"])
        return batch

    def _labelled(self, rng: random.Random, step: int) -> dict[str, Any]:
        import torch

        examples = [balanced_example(rng, "train", row % 2 == 1) for row in range(ROWS)]
        batch = self._coded([text for text, _ in examples])
        batch["labels"] = torch.tensor([int(toxic) for _, toxic in examples])
        return batch

    def _coded(self, texts: list[str]) -> dict[str, Any]:
        coded = self._tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
        return {"input_ids": coded["input_ids"], "attention_mask": coded["attention_mask"]}


def balanced_example(rng: random.Random, split: Any, toxic: bool) -> tuple[str, bool]:
    """A reply that is toxic or not; among the polite ones also requests, reviews and stories of the world."""
    if not toxic and rng.random() < 0.3:
        name = rng.choice(("sentiment", "story", "reply"))
        return TASKS.get(name).draw(rng, split).source, False
    while True:
        example = TASKS.get("reply").draw(rng, split)
        if (example.labels["toxic"] == "yes") == toxic:
            return example.references[0], toxic


def held_out_scores(
    model: Any, tokenizer: Any, split: Any, count: int, seed: int = 1
) -> tuple[list[float], list[bool]]:
    """The probability of toxic for `count` replies of the split, and the truth."""
    rng = random.Random(f"toxicity {split} {seed}")
    examples = [TASKS.get("reply").draw(rng, split) for _ in range(count)]
    scores = toxic_probabilities(model, tokenizer, [example.references[0] for example in examples])
    return scores, [example.labels["toxic"] == "yes" for example in examples]


def toxic_probabilities(model: Any, tokenizer: Any, texts: list[str]) -> list[float]:
    import torch

    scores: list[float] = []
    for start in range(0, len(texts), 64):
        part = texts[start : start + 64]
        coded = tokenizer(part, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            logits = model(input_ids=coded["input_ids"], attention_mask=coded["attention_mask"]).logits
        scores += logits.float().softmax(-1)[:, 1].tolist()
    return scores


def _masked_loss(model: Any, batch: dict[str, Any]) -> Any:
    import torch

    hidden = model.roberta(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    logits = model.pretraining_head(hidden).float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())


def _label_loss(model: Any, batch: dict[str, Any]) -> Any:
    return model(**batch).loss


RECIPES.register(Toxicity.name)(Toxicity())
