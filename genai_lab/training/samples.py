"""What the model says on a few fixed validation items, so that one can read how it learns."""

from collections.abc import Sequence
from typing import Any

from genai_lab.training import IGNORED
from genai_lab.training.batches import Draws
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.objectives import Drawn

LONGEST = 48
# PEFT ignores positions behind virtual tokens, so that rows padded on the left would be read at wrong ones.
ALONE = ("prompt_tuning", "p_tuning", "prefix_tuning")


def samples(work: TrainingInputs, module: Any, tokenizer: Any, held: Draws, collate: Any) -> list[dict[str, Any]]:
    """{"place", "prompt", "reference", "text"} of the items that the work shows."""
    import torch

    drawn = [held[_place(held, item)] for item in work.shown]
    if not drawn:
        return []
    with torch.no_grad():
        if work.objective.head == "reward":
            texts = _scores(module, drawn, collate)
        elif work.objective.head == "classify":
            texts = _classes(work, module, drawn, collate)
        elif work.objective.head == "masked":
            texts = _found(module, tokenizer, drawn, collate)
        else:
            texts = _written(work, module, tokenizer, drawn)
    made = []
    for place, (one, text) in enumerate(zip(drawn, texts, strict=True)):
        prompt, reference = _asked(work, tokenizer, one)
        made.append({"place": place, "prompt": prompt, "reference": reference, "text": text})
    return made


def _place(held: Draws, item: int) -> int:
    return next(place for place, (_, other) in enumerate(held.places) if other == item)


def _split(work: TrainingInputs, one: Drawn) -> tuple[list[int], list[int]]:
    """(what is given, what is to be written)."""
    learned = [place for place, label in enumerate(one.labels) if label != IGNORED]
    if work.architecture == "encoder-decoder":
        return one.ids, [one.labels[place] for place in learned]
    if work.objective.needs == "text":
        half = max(1, min(len(one.ids) // 2, len(one.ids) - LONGEST))
        return one.ids[:half], one.ids[half : half + LONGEST]
    # A label stands at the place that predicts it; of several answers the last one is written.
    first = learned[-1]
    while first - 1 in learned:
        first -= 1
    return one.ids[: first + 1], one.ids[first + 1 : learned[-1] + 2]


def _asked(work: TrainingInputs, tokenizer: Any, one: Drawn) -> tuple[str, str]:
    if work.objective.head == "classify":
        return _text(tokenizer, one.ids), work.labels[one.labels[0]]
    if work.objective.head == "reward":
        return _sides(tokenizer, one)
    if work.objective.head == "masked":
        return tokenizer.decode(one.ids), _text(tokenizer, [label for label in one.labels if label != IGNORED])
    given, wanted = _split(work, one)
    if work.objective.name == "span_corruption":
        return tokenizer.decode(given), tokenizer.decode(wanted)
    return _text(tokenizer, given), _text(tokenizer, wanted)


def _written(work: TrainingInputs, module: Any, tokenizer: Any, drawn: Sequence[Drawn]) -> list[str]:
    return generated(work, module, tokenizer, [_split(work, one)[0] for one in drawn], LONGEST)


def generated(work: TrainingInputs, module: Any, tokenizer: Any, given: Sequence[list[int]], room: int) -> list[str]:
    """What transformers' own generation writes for the ids, greedily, at most `room` new tokens each."""
    import torch

    if work.plan.method in ALONE and len(given) > 1:
        return [text for one in given for text in generated(work, module, tokenizer, [one], room)]
    width = max(map(len, given))
    left = work.architecture == "decoder-only"
    ids = torch.full((len(given), width), tokenizer.pad_token_id, device=module.device)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(given):
        own = slice(width - len(row), width) if left else slice(0, len(row))
        ids[place, own] = torch.tensor(row, device=module.device)
        mask[place, own] = 1
    out = module.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=room,
        do_sample=False,
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
    )
    # Virtual tokens make some modules give back the new tokens alone.
    fresh = [row[width:] if left and len(row) > room + 1 else row for row in out.tolist()]
    keep = work.objective.name == "span_corruption"
    return [tokenizer.decode(row) if keep else _text(tokenizer, row) for row in fresh]


def _classes(work: TrainingInputs, module: Any, drawn: Sequence[Drawn], collate: Any) -> list[str]:
    inputs = {name: value.to(module.device) for name, value in collate(drawn).items() if name != "labels"}
    shares = module(**inputs).logits.float().softmax(-1)
    return [f"{work.labels[int(row.argmax())]} ({float(row.max()):.2f})" for row in shares]


def _scores(module: Any, drawn: Sequence[Drawn], collate: Any) -> list[str]:
    batch = collate(drawn)
    inputs = {name: batch[name].to(module.device) for name in ("input_ids", "attention_mask")}
    chosen, rejected = module(**inputs).logits.float()[:, 0].chunk(2)
    pairs = zip(chosen.tolist(), rejected.tolist(), strict=True)
    return [f"{a:+.2f} against {b:+.2f} ({'right' if a > b else 'wrong'})" for a, b in pairs]


def _sides(tokenizer: Any, one: Drawn) -> tuple[str, str]:
    """(what both sides begin with, the two ends)."""
    other = one.rejected.ids if one.rejected is not None else []
    same = next(
        (n for n, (a, b) in enumerate(zip(one.ids, other, strict=False)) if a != b), min(len(one.ids), len(other))
    )
    return _text(tokenizer, one.ids[:same]), f"{_text(tokenizer, one.ids[same:])} ≻ {_text(tokenizer, other[same:])}"


def _found(module: Any, tokenizer: Any, drawn: Sequence[Drawn], collate: Any) -> list[str]:
    inputs = {name: value.to(module.device) for name, value in collate(drawn).items() if name != "labels"}
    best = module(**inputs).logits.argmax(-1).tolist()
    return [_text(tokenizer, [row[place] for place in one.changed]) for row, one in zip(best, drawn, strict=True)]


def _text(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
