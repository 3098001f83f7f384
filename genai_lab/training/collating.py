"""Features of rows as tensors of a batch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genai_lab.training.examples import IGNORED, PairFeatures, TokenFeatures

if TYPE_CHECKING:
    from genai_lab.training.objective import EncodingContext


def collate_tokens(rows: Sequence[TokenFeatures], context: "EncodingContext") -> dict[str, Any]:
    """input_ids, attention_mask (B, T), labels (B, T) or (B, S), and for an encoder-decoder decoder_input_ids (B, S),
    the labels shifted by one behind the start token.
    """
    import torch

    inputs, width = collate_inputs(rows, context), max(len(row.ids) for row in rows)
    seq2seq = context.architecture == "encoder-decoder"
    size = max(len(row.labels) for row in rows) if seq2seq else width
    labels = torch.full((len(rows), size), IGNORED)
    for index, row in enumerate(rows):
        labels[index, : len(row.labels)] = torch.tensor(row.labels)
    if seq2seq:
        shifted = labels.new_full(labels.shape, context.pad)
        shifted[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, context.pad)
        shifted[:, 0] = context.decoder_start if context.decoder_start is not None else context.pad
        inputs["decoder_input_ids"] = shifted
    return inputs | {"labels": labels}


def collate_inputs(rows: Sequence[TokenFeatures], context: "EncodingContext") -> dict[str, Any]:
    """input_ids and attention_mask (B, T)."""
    import torch

    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), context.pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        mask[index, : len(row.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def collate_pairs(pairs: Sequence[PairFeatures], context: "EncodingContext") -> dict[str, Any]:
    """(2B, T): all chosen sides before all rejected ones, as TRL has them, with weight and margin (B,)."""
    import torch

    batch = collate_tokens([*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)], context)
    batch["weight"] = torch.tensor([pair.weight for pair in pairs], dtype=torch.float32)
    batch["margin"] = torch.tensor([pair.margin for pair in pairs], dtype=torch.float32)
    return batch


def completion_mask(labels: Any) -> Any:
    """TRL's mask (B, T), which marks where a learned token stands; our labels stand where it is predicted."""
    import torch

    mask = torch.zeros_like(labels)
    mask[:, 1:] = labels[:, :-1] != IGNORED
    return mask
