"""Plans against real modules of random weights, and one against a process that trains."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from genai_lab.glibc_heap import LARGE, Heap
from genai_lab.training.memory import GPUS, MemoryPlan, batch_of, machine_memory, plan

FAMILIES = ("decoder-only", "encoder-decoder", "classifier", "masked")
TASKS = {"decoder-only": "CAUSAL_LM", "encoder-decoder": "SEQ_2_SEQ_LM", "classifier": "SEQ_CLS"}
WORDS = 5000
METHODS = ("full", "half", "lora", "prompt", "prefix")


def tiny(family: str, method: str = "full", layers: int = 2) -> Any:
    import peft
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 97, "pad_token_id": 0}
    wide = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": layers, "num_attention_heads": 4}
    if family == "decoder-only":
        model: Any = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **wide))
    elif family == "encoder-decoder":
        small = {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": layers,
            "num_heads": 4,
            "decoder_start_token_id": 0,
        }
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, **small))
    else:
        config = transformers.RobertaConfig(**sizes, **wide, max_position_embeddings=300, num_labels=3)
        masked = family == "masked"
        model = (transformers.RobertaForMaskedLM if masked else transformers.RobertaForSequenceClassification)(config)
    if method == "half":
        for index, weight in enumerate(model.parameters()):
            weight.requires_grad_(index % 2 == 0)
    if method in ("full", "half"):
        return model
    adapters = {
        "lora": lambda task: peft.LoraConfig(task_type=task, r=8),
        "prompt": lambda task: peft.PromptTuningConfig(task_type=task, num_virtual_tokens=5),
        "prefix": lambda task: peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=5),
    }
    return peft.get_peft_model(model, adapters[method](TASKS[family]))


def planned(family: str, rows: int = 4, length: int = 32, **settings: Any) -> MemoryPlan:
    return plan(lambda: tiny(family), lambda: batch_of(family, rows, length, 16), **settings)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_does_not_depend_on_the_batch_is_exact(family: str) -> None:
    for method in METHODS if family in TASKS else ("full", "half"):
        real = tiny(family, method, 1)
        planned_memory = plan(partial(tiny, family, method, 1), lambda: batch_of(family, 4, 8, 6))
        trained = [weight for weight in real.parameters() if weight.requires_grad]
        count = sum(weight.numel() for weight in trained)
        assert planned_memory.trained == count, method
        assert planned_memory.parameters == sum(weight.numel() for weight in real.parameters()), method
        assert planned_memory.weights == sum(part.nbytes for part in (*real.parameters(), *real.buffers())), method
        assert planned_memory.share == pytest.approx(count / planned_memory.parameters)
        assert planned_memory.gradients == 4 * count, method
        assert planned_memory.optimiser == 8 * count + 4 * len(trained), (
            f"{method}: two moments, and the step as a float"
        )
        assert planned_memory.peak > planned_memory.weights + planned_memory.optimiser + planned_memory.activations


def test_weights_in_half_precision() -> None:
    import torch

    planned_memory = plan(lambda: tiny("decoder-only").to(torch.bfloat16), lambda: batch_of("decoder-only", 2, 8))
    assert planned_memory.weights < 2.1 * planned_memory.parameters
    assert planned_memory.gradients == 2 * planned_memory.trained


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_grow_with_the_batch_and_shrink_with_checkpointing(family: str) -> None:
    small, tall, long = (planned(family, *size) for size in ((8, 64), (16, 64), (8, 128)))
    assert 1.8 * small.activations < tall.activations < 2.1 * small.activations
    assert small.activations < long.activations
    less = planned(family, 16, 64, gradient_checkpointing=True)
    assert less.activations < tall.activations / 2
    assert less.peak < tall.peak


def test_autocast_takes_less_than_float32() -> None:
    assert planned("decoder-only", rows=32, autocast="bfloat16").peak < planned("decoder-only", rows=32).peak


@pytest.mark.parametrize("family", ["decoder-only", "masked"])
def test_what_is_only_read_has_no_logits(family: str) -> None:
    all_learned, few = (
        plan(partial(wide_head, family), lambda target=target: batch_of(family, 4, 64, target)) for target in (0, 8)
    )
    logits = 4 * 4 * 64 * WORDS  # bytes of one tensor of all logits
    assert 1.5 * logits < all_learned.activations - few.activations < 2.5 * logits
    assert few.peak < all_learned.peak


def wide_head(family: str) -> Any:
    import transformers

    sizes: dict[str, Any] = {"vocab_size": WORDS, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    if family == "decoder-only":
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, num_attention_heads=2))
    return transformers.RobertaForMaskedLM(
        transformers.RobertaConfig(**sizes, num_attention_heads=2, max_position_embeddings=80)
    )


def test_a_plan_counts_what_a_decoders_rows_learn(tmp_path: Path) -> None:
    """The largest batch is told with the mean of the tokens that its rows learn, which of masked blocks is a share."""
    from genai_lab.training import DatasetSpec, TrainingPlan
    from genai_lab.training.batches import training_dataset
    from genai_lab.training.examples import EncodedExample
    from genai_lab.training.objective import EncodingContext
    from genai_lab.training.objectives import OBJECTIVES

    objective, data = OBJECTIVES.get("instruction"), (DatasetSpec("none"),)
    plan_of_run = TrainingPlan("none", data)
    rows = [EncodedExample([5] * 20, [5] * 4), EncodedExample([5] * 9, [5] * 10, unlearned=((2, 5),))]
    for architecture, expected in (("decoder-only", (24, 6)), ("encoder-decoder", (20, 10))):
        context = EncodingContext(None, architecture, plan_of_run.training, objective.settings())  # type: ignore[arg-type]
        assert training_dataset(plan_of_run, [rows], 1, objective, context).largest_batch(8) == expected
    masked = TrainingPlan("none", data, objective="mlm", objective_settings={"mlm_probability": 0.25})
    assert OBJECTIVES.get("mlm").learned_tokens(64, masked) == 16
    assert OBJECTIVES.get("clm").learned_tokens(64, masked) == 0


def test_a_loss_of_its_own() -> None:
    full_text = planned("decoder-only", rows=16)
    light = planned("decoder-only", rows=16, loss=lambda output, batch: output.logits[:, -1].float().sum())
    assert light.peak < full_text.peak


def test_a_large_model_is_planned_without_its_memory() -> None:
    import psutil
    import transformers

    config = transformers.LlamaConfig(num_hidden_layers=2)
    before = psutil.Process().memory_info().rss
    planned_memory = plan(lambda: transformers.LlamaForCausalLM(config), lambda: batch_of("decoder-only", 1, 512))
    assert planned_memory.peak > 16 * planned_memory.parameters > 9e9
    assert psutil.Process().memory_info().rss - before < 2**28


def test_building_leaves_torch_as_it_was() -> None:
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.nn import Module

    original = Module._apply
    with pytest.raises(ZeroDivisionError):
        plan(lambda: 1 // 0, lambda: {})
    assert Module._apply is original
    assert "__deepcopy__" not in vars(FakeTensor)


@pytest.mark.full  # a benchmark, which `python -m benchmarks.memory` measures for all starters
def test_a_process_takes_what_was_planned() -> None:
    from benchmarks.memory import Case, measure, predict

    case = Case("seq2seq", "full", 24, 160, 64, steps=2)
    measured = measure(case)["peak"]
    assert measured > 500e6
    assert predict(case).peak == pytest.approx(measured, rel=0.2)


def test_the_control_group_bounds_what_is_left(tmp_path: Path) -> None:
    assert 0 < machine_memory() == pytest.approx(machine_memory(), rel=0.2)
    (tmp_path / "proc/self").mkdir(parents=True)
    for entry, folder, files in (
        ("0::/a/b\n", "a", {"memory.max": "3000", "memory.current": "2000"}),
        ("4:memory:/a\n", "memory/a", {"memory.limit_in_bytes": "3000", "memory.usage_in_bytes": "2000"}),
    ):
        (tmp_path / "proc/self/cgroup").write_text(entry)
        group = tmp_path / "sys/fs/cgroup" / folder
        group.mkdir(parents=True)
        for name, text in (files | {"memory.stat": "anon 1500\ninactive_file 400\n"}).items():
            (group / name).write_text(text)
        assert machine_memory(tmp_path) == 1400, json.dumps(files)
    (tmp_path / "sys/fs/cgroup/a/memory.max").write_text("max\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/a/b\n")
    assert machine_memory(tmp_path) > 10**6


def test_cards_have_a_sensible_size() -> None:
    assert all(10 * 2**30 < size < 300 * 2**30 for size in GPUS.values())


def test_the_heap_cuts_the_smallest_piece_that_is_free_and_joins_neighbours() -> None:
    heap = Heap()
    heap.replay([(1, 1000), (2, 1_000_000), (3, 1000), (4, 5000), (5, 1000)])
    top = heap.top
    heap.replay([(4, -1), (2, -1), (6, 4000)])
    assert heap.top == top  # cut from the piece of 4, not from the larger one of 2
    heap.replay([(7, 900_000), (3, -1), (8, 990)])
    assert heap.top == top
    heap.replay([(9, 2 * LARGE)])
    assert (heap.top, heap.mapped) == (top, 2 * LARGE)
    heap.die(9)
    assert heap.mapped == 0
    assert heap.peak == top + 2 * LARGE
    for block in heap.alive():
        heap.die(block)
    heap.live(10, top - 500)
    assert heap.top == top  # all that was free is one piece
