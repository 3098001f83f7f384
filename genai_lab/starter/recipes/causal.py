"""starter-causal: learns in context which words name the two sentiments, tells stories, answers requests."""

import random
from dataclasses import dataclass
from typing import Any

from genai_lab.starter.recipes import RECIPES
from genai_lab.starter.tasks import TASKS, Split
from genai_lab.starter.tasks.sentiment import HELD_OUT_PAIRS, few_shot_document
from genai_lab.starter.tokenizer import ASSISTANT, END, START, USER, build_tokenizer
from genai_lab.starter.training import Phase
from genai_lab.starter.world import FOODS, ITEMS, PLACES, invented_name

LABEL_WEIGHT = 10.0
WIDTH, ROWS = 256, 12
LONG_WIDTH, LONG_ROWS = 1024, 3
FIRST_PAIR_STEPS = 150


@dataclass(frozen=True)
class Mix:
    """Shares of documents; what is neither shots nor a story nor a repeated list is a turn of a chat."""

    shots: float
    story: float
    repeated: float = 0.0
    new_words: float = 0.0
    swapped: float = 0.0
    first_pair: bool = False


# Lists said twice teach copying from the context within a few hundred steps; label words and names then follow.
REPEATS = Mix(shots=0.0, story=0.3, repeated=0.5)
# One pair first, then the pool in its natural direction: else copying is learned and the polarity never is.
ONE_PAIR = Mix(shots=0.9, story=0.0, repeated=0.1, first_pair=True)
POOL = Mix(shots=0.6, story=0.2, repeated=0.1)
ALL = Mix(shots=0.42, story=0.36, repeated=0.04, new_words=0.45, swapped=0.15)


class Causal:
    name = "starter-causal"
    about = "Decoder-only (Llama architecture), byte-level tokenizer, chat template, context 1,024 tokens."

    def tokenizer(self, seed: int) -> Any:
        return build_tokenizer("causal", seed)

    def model(self, tokenizer: Any) -> Any:
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=256,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_key_value_heads=8,
            intermediate_size=688,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        return LlamaForCausalLM(config)

    def rate_of(self, name: str, weight: Any) -> float:
        return 1.0

    def phases(self, tokenizer: Any, seed: int, scale: float) -> list[Phase]:
        packed = Packed(tokenizer)

        def phase(name: str, steps: int, rate: float, mix: Mix, width: int = WIDTH, rows: int = ROWS) -> Phase:
            return Phase(
                name, max(1, int(steps * scale)), rate, lambda rng, _: packed.batch(rng, mix, width, rows), _loss
            )

        return [
            phase("repeated lists", 300, 1e-3, REPEATS),
            phase("one label pair", FIRST_PAIR_STEPS, 1e-3, ONE_PAIR),
            phase("label pairs", 250, 1e-3, POOL),
            phase("stories and new label words", 1400, 1e-3, ALL),
            phase("long documents", 80, 2e-4, ALL, LONG_WIDTH, LONG_ROWS),
        ]

    def evaluate(self, model: Any, tokenizer: Any) -> dict[str, float]:
        cases: dict[str, tuple[int, dict[str, Any]]] = {
            "0 shots": (0, {}),
            "1 shot": (1, {}),
            "4 shots": (4, {}),
            "4 swapped": (4, {"swapped": True}),
            "4 with held-out words": (4, {"pairs": HELD_OUT_PAIRS}),
        }
        hits = {
            name: shots_hits(model, tokenizer, k, 64, seed=1, split="validation", **options)
            for name, (k, options) in cases.items()
        }
        return {name: sum(values) / len(values) for name, values in hits.items()}


def new_pair(rng: random.Random) -> tuple[str, str]:
    """Two words that name no sentiment: things of the world, or invented; no held-out label among them."""
    held_out = {word for pair in HELD_OUT_PAIRS for word in pair}
    while True:
        examples = [
            invented_name(rng).lower() if rng.random() < 0.5 else rng.choice(rng.choice((ITEMS, FOODS, PLACES)))
            for _ in range(2)
        ]
        if examples[0] != examples[1] and not held_out & set(examples):
            return examples[0], examples[1]


def document(rng: random.Random, mix: Mix) -> tuple[str, tuple[tuple[int, int], ...]]:
    """One training document and the (start, end) places of its labels."""
    kind = rng.random()
    if kind < mix.shots:
        pair = ("positive", "negative") if mix.first_pair else new_pair(rng) if rng.random() < mix.new_words else None
        shots = few_shot_document(
            rng,
            "train",
            rng.choice((0, 1, 2, 3, 4, 4, 5, 6, 7, 8)),
            pair=pair,
            swapped=rng.random() < mix.swapped,
            name_labels=not mix.first_pair and rng.random() < 0.15,
        )
        return shots.prompt + shots.answer, shots.spans
    if kind < mix.shots + mix.story:
        story = TASKS.get("story").draw(rng, "train")
        return f"{story.source} {story.references[0]}", ()
    if kind < mix.shots + mix.story + mix.repeated:
        return repeated_text(rng), ()
    task = TASKS.get("reply" if rng.random() < 0.65 else "story").draw(rng, "train")
    request = task.source if task.labels.get("attribute") == "helpful" else task.prompt
    return f"{USER}{request}{ASSISTANT}{task.references[0]}", ()


def repeated_text(rng: random.Random) -> str:
    """A list of words that mean nothing, two or three times over."""
    tokens = [
        invented_name(rng).lower() if rng.random() < 0.5 else invented_name(rng) for _ in range(rng.randint(4, 20))
    ]
    between = rng.choice((" ", ", ", "\n"))
    return "\n".join([between.join(tokens)] * rng.randint(2, 3))


class Packed:
    """Documents one after the other in rows of equal width, label tokens weighted."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def batch(self, rng: random.Random, mix: Mix, width: int, rows: int) -> dict[str, Any]:
        """input_ids, attention_mask and weights, each (rows, width)."""
        import torch

        ids: list[int] = []
        weights: list[float] = []
        while len(ids) < rows * width:
            text, spans = document(rng, mix)
            coded = self._tokenizer(f"{START}{text}{END}", add_special_tokens=False, return_offsets_mapping=True)
            ids += coded["input_ids"]
            shift = len(START)
            inside = [(a + shift, b + shift) for a, b in spans]
            weights += [
                LABEL_WEIGHT if any(a <= low < b for a, b in inside) else 1.0 for low, _ in coded["offset_mapping"]
            ]
        table = torch.tensor(ids[: rows * width]).view(rows, width)
        return {
            "input_ids": table,
            "attention_mask": torch.ones_like(table),
            "weights": torch.tensor(weights[: rows * width]).view(rows, width),
        }


def _loss(model: Any, batch: dict[str, Any]) -> Any:
    import torch

    logits = model(input_ids=batch["input_ids"]).logits[:, :-1].float()
    targets, weights = batch["input_ids"][:, 1:], batch["weights"][:, 1:]
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return (losses * weights.flatten()).sum() / weights.sum()


def shots_hits(
    model: Any, tokenizer: Any, shots: int, count: int, seed: int, split: Split = "test", **options: Any
) -> list[bool]:
    """For each of `count` prompts, whether the first line of the greedy completion is the label.

    The label pair is drawn per prompt, from `pairs` where given.
    """
    import torch

    rng = random.Random(f"shots {seed}")
    pairs = options.pop("pairs", None)
    cases = [
        few_shot_document(rng, split, shots, pair=rng.choice(pairs) if pairs else None, **options) for _ in range(count)
    ]
    hits = []
    for start in range(0, count, 32):
        part = cases[start : start + 32]
        coded = tokenizer([case.prompt for case in part], padding=True, padding_side="left", return_tensors="pt")
        coded.pop("token_type_ids", None)
        with torch.inference_mode():
            generated = model.generate(**coded, max_new_tokens=8, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        texts = tokenizer.batch_decode(generated[:, coded["input_ids"].shape[1] :], skip_special_tokens=True)
        hits += [text.split("\n")[0].strip() == case.answer.strip() for text, case in zip(texts, part, strict=True)]
    return hits


RECIPES.register(Causal.name)(Causal())
