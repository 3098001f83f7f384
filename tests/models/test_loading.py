"""Models that several threads read at the same time are whole, and so are those read after them."""

import threading
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import set_tqdm_hook

from genai_lab.models import Card, Options, Source
from genai_lab.models.cache import ModelCache
from genai_lab.models.fake import FakeGenerator
from genai_lab.models.loading import LoadProgress, progress_to, report_progress
from genai_lab.models.local import load_folder
from tests.tiny import random_model


def test_threads_that_read_tied_models_together_lose_no_weight(tmp_path: Path, monkeypatch: Any) -> None:
    import transformers
    from transformers import AutoModelForCausalLM

    folder = random_model(tmp_path / "tied")
    module = AutoModelForCausalLM.from_pretrained(folder)
    module.config.tie_word_embeddings = True
    module.tie_weights()
    module.save_pretrained(folder)
    card = Card("tied", Source("local", str(folder)), "generate", "decoder-only", "LlamaForCausalLM", path=folder)
    original = transformers.PreTrainedModel.tie_weights
    inside: list[int] = []
    most: list[int] = []
    read = AutoModelForCausalLM.from_pretrained

    def counted(*args: Any, **options: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        try:
            return read(*args, **options)
        finally:
            inside.pop()

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", counted)
    loaded: list[Any] = []
    start = threading.Barrier(4)

    def load() -> None:
        start.wait()
        loaded.append(load_folder(card, Options(device="cpu", roots=(tmp_path,))))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 4
    assert max(most) == 1
    assert transformers.PreTrainedModel.tie_weights is original
    for generator in loaded:
        assert torch.equal(generator.module.lm_head.weight, generator.module.model.embed_tokens.weight)
        generator.close()


def test_a_model_counts_its_tensors_while_it_is_read(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "counted")
    card = Card("counted", Source("local", str(folder)), "generate", "decoder-only", "LlamaForCausalLM", path=folder)
    observed: list[LoadProgress] = []
    hook = set_tqdm_hook(None)
    with progress_to(observed.append):
        load_folder(card, Options(device="cpu", roots=(tmp_path,))).close()
    assert set_tqdm_hook(hook) is None, "the hook of transformers' progress bars is as before"
    assert [progress.done for progress in observed] == list(range(observed[-1].total + 1))
    assert (observed[0].share, observed[-1].share, observed[-1].unit) == (0.0, 1.0, "tensors")
    count = len(observed)
    load_folder(card, Options(device="cpu", roots=(tmp_path,))).close()
    assert len(observed) == count, "nobody listens any more"


def test_the_cache_tells_how_far_a_model_is(tmp_path: Path) -> None:
    card = Card("slow", Source("local", str(tmp_path)), "generate", "decoder-only", "LlamaForCausalLM")
    half, goes_on = threading.Event(), threading.Event()

    def load(*_: Any) -> Any:
        report_progress(1, 2, "bytes")
        half.set()
        goes_on.wait()
        return FakeGenerator()

    cache = ModelCache(1000, Options(), load)
    thread = threading.Thread(target=cache.acquire, args=(card,))
    thread.start()
    half.wait()
    assert cache.loading() == {"slow": LoadProgress(1, 2, "bytes")}
    goes_on.set()
    thread.join()
    assert (cache.loading(), list(cache.loaded())) == ({}, ["slow"])
