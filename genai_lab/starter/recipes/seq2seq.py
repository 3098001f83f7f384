"""starter-seq2seq: span corruption, then instructions for every task but passage + question -> answer."""

import random
from typing import Any

from genai_lab.starter.recipes import RECIPES
from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.tokenizer import SENTINELS, build_tokenizer
from genai_lab.starter.training import Phase
from genai_lab.starter.world import invented_name

LEFT_OUT = "qa"
TYPICAL_SIZE = 0.0625
MIXTURE = {"summary": 0.6, "translation": 0.24, "sentiment": 0.06, "reply": 0.06, "story": 0.04}
ROWS, POOL = 24, 16
CORRUPTED, MEAN_SPAN = 0.15, 3
# Until then, half of the rows restore a whole corrupted text: copying is learned many times sooner that way.
RESTORING_UNTIL, RESTORING, LONGEST_RESTORED = 900, 0.5, 40
# The last part of the recipe: lists of invented names said again, so that names nobody has seen are copied more often.
COPIED = 0.3


class Seq2Seq:
    name = "starter-seq2seq"
    about = "Encoder-decoder (T5 v1.1 architecture), byte-level tokenizer, context 1,024 tokens."

    def tokenizer(self, seed: int) -> Any:
        return build_tokenizer("seq2seq", seed)

    def model(self, tokenizer: Any) -> Any:
        from transformers import T5Config, T5ForConditionalGeneration

        config = T5Config(  # type: ignore[call-arg]
            vocab_size=len(tokenizer),
            d_model=256,
            d_kv=32,
            num_heads=8,
            d_ff=416,
            num_layers=3,
            num_decoder_layers=3,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
            n_positions=1024,
        )
        return T5ForConditionalGeneration(config)

    def rate_of(self, name: str, weight: Any) -> float:
        """T5 initialises its weights at very different sizes, so each learns at a rate in proportion to its own.

        As Adafactor does (Shazeer and Stern, 2018, section 8), relative to most weights' size.
        """
        if weight.dim() < 2:
            return 1.0
        return float(min(10.0, max(0.1, weight.detach().square().mean().sqrt() / TYPICAL_SIZE)))

    def phases(self, tokenizer: Any, seed: int, scale: float) -> list[Phase]:
        pairs = Pairs(tokenizer, seed)
        first, second = max(1, int(100 * scale)), max(1, int(5600 * scale))
        return [
            Phase("span corruption", first, 1e-3, pairs.corrupted, _loss, 100),
            Phase("instructions", second, 1e-3, pairs.instructions, _loss, 300),
            Phase("copying", max(1, int(900 * scale)), 1e-3, pairs.copying, _loss, 300),
        ]

    def evaluate(self, model: Any, tokenizer: Any) -> dict[str, float]:
        figures = {}
        for name in ("summary", "translation", "sentiment"):
            examples = draw_examples(name, "validation", 40)
            texts = completions(model, tokenizer, [example.prompt for example in examples])
            exact = [text == reference for text, e in zip(texts, examples, strict=True) for reference in e.references]
            figures[f"{name} exact"] = sum(exact) / len(examples)
        return figures


class Pairs:
    """Batches of (encoder text, decoder text), drawn in pools and sorted by length so that little is padded."""

    def __init__(self, tokenizer: Any, seed: int) -> None:
        self._tokenizer, self._seed = tokenizer, seed
        self._pool: tuple[str, int, list[tuple[list[int], list[int]]]] = ("", -1, [])
        self._restoring = 0.0

    def instructions(self, rng: random.Random, step: int) -> dict[str, Any]:
        return self._batch("instructions", step, self._instruction)

    def copying(self, rng: random.Random, step: int) -> dict[str, Any]:
        return self._batch("copying", step, self._copy)

    def corrupted(self, rng: random.Random, step: int) -> dict[str, Any]:
        return self._batch("corrupted", step, self._corruption)

    def _batch(self, kind: str, step: int, draw: Any) -> dict[str, Any]:
        number, offset = divmod(step, POOL)
        if self._pool[:2] != (kind, number):
            rng = random.Random(f"{self._seed} {kind} {number}")
            early = kind == "instructions" and number * POOL < RESTORING_UNTIL
            self._restoring = RESTORING if early else 0.0
            rows = sorted((draw(rng) for _ in range(ROWS * POOL)), key=lambda row: len(row[0]))
            cut = [rows[i * ROWS : (i + 1) * ROWS] for i in range(POOL)]
            rng.shuffle(cut)
            self._pool = (kind, number, [row for part in cut for row in part])
        return self._padded(self._pool[2][offset * ROWS : (offset + 1) * ROWS])

    def _instruction(self, rng: random.Random) -> tuple[list[int], list[int]]:
        task = rng.choices(list(MIXTURE), list(MIXTURE.values()))[0]
        example = TASKS.get(task).draw(rng, "train")
        if rng.random() < self._restoring:
            return self._restoration(rng, rng.choice((example.source, example.references[0])))
        return self._tokenizer(example.prompt)["input_ids"], self._tokenizer(example.references[0])["input_ids"]

    def _copy(self, rng: random.Random) -> tuple[list[int], list[int]]:
        """A list of names to be said again, or an instruction: what is copied letter by letter there serves here."""
        if rng.random() > COPIED:
            return self._instruction(rng)
        names = [invented_name(rng) for _ in range(rng.randint(2, 10))]
        text = rng.choice((", ", " and ", ": ", "\n")).join(names)
        coded = self._tokenizer(text)["input_ids"]
        return coded, coded

    def _corruption(self, rng: random.Random) -> tuple[list[int], list[int]]:
        """Spans of 3 tokens on average replaced by sentinels, 15 % in all (Raffel et al., 2020, section 3.1.4)."""
        task = rng.choice(list(MIXTURE))
        example = TASKS.get(task).draw(rng, "train")
        ids = self._tokenizer(f"{example.source} {example.references[0]}", add_special_tokens=False)["input_ids"]
        spans = max(1, min(len(SENTINELS), round(len(ids) * CORRUPTED / MEAN_SPAN)))
        starts = sorted(rng.sample(range(len(ids)), min(spans, len(ids))))
        source, target, offset = [], [], 0
        for number, start in enumerate(starts):
            if start < offset:
                continue
            sentinel = self._tokenizer.convert_tokens_to_ids(SENTINELS[number])
            end = min(len(ids), start + rng.randint(1, 2 * MEAN_SPAN - 1))
            source += [*ids[offset:start], sentinel]
            target += [sentinel, *ids[start:end]]
            offset = end
        end_id = self._tokenizer.eos_token_id
        return [*source, *ids[offset:], end_id], [*target, end_id]

    def _restoration(self, rng: random.Random, text: str) -> tuple[list[int], list[int]]:
        """A text with 15 % of its tokens masked, and the whole of it (Lewis et al., 2020, section 2.2)."""
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"][:LONGEST_RESTORED]
        gap = self._tokenizer.convert_tokens_to_ids(SENTINELS[0])
        end = self._tokenizer.eos_token_id
        return [*[gap if rng.random() < CORRUPTED else token for token in ids], end], [*ids, end]

    def _padded(self, rows: list[tuple[list[int], list[int]]]) -> dict[str, Any]:
        import torch

        pad = self._tokenizer.pad_token_id
        # Few different shapes: the CPU's kernels are made anew for each.
        wide, long = (_rounded(max(len(row[side]) for row in rows), 16) for side in (0, 1))
        ids = torch.tensor([row[0] + [pad] * (wide - len(row[0])) for row in rows])
        mask = torch.tensor([[1] * len(row[0]) + [0] * (wide - len(row[0])) for row in rows])
        labels = torch.tensor([row[1] + [-100] * (long - len(row[1])) for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _rounded(size: int, step: int) -> int:
    return -(-size // step) * step


def _loss(model: Any, batch: dict[str, Any]) -> Any:
    return model(**batch).loss


def draw_examples(task: str, split: Split, count: int, seed: int = 1) -> list[Example]:
    rng = random.Random(f"{task} {split} {seed}")
    return [TASKS.get(task).draw(rng, split) for _ in range(count)]


def completions(model: Any, tokenizer: Any, prompts: list[str], max_new_tokens: int = 64) -> list[str]:
    """Greedy completions, in batches of 32."""
    import torch

    texts: list[str] = []
    for start in range(0, len(prompts), 32):
        coded = tokenizer(prompts[start : start + 32], padding=True, return_tensors="pt")
        coded.pop("token_type_ids", None)
        with torch.inference_mode():
            out = model.generate(**coded, max_new_tokens=max_new_tokens, do_sample=False)
        texts += tokenizer.batch_decode(out, skip_special_tokens=True)
    return texts


RECIPES.register(Seq2Seq.name)(Seq2Seq())
