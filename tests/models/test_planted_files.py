"""What lies beside good weights is neither read nor run."""

import pickle
from collections.abc import Callable
from pathlib import Path

from genai_lab.models import BACKENDS, Options
from tests.models.folders import edit, inspect, lora, small_llama
from tests.models.test_adapter_folders import generated, on_base


class Runs:
    """What a pickle does when it is read."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.canary,)


def plant(folder: Path, canary: Path) -> None:
    """Pickles and code of its own beside what the lab reads."""
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "rng_state.pth"):
        (folder / name).write_bytes(pickle.dumps(Runs(canary)))
    code = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\nclass Mine: ...\n"
    for name in ("modeling_mine.py", "tokenization_mine.py", "configuration_mine.py", "custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    (folder / "custom_generate" / "out").symlink_to(canary.parent)


def test_pickles_and_code_beside_good_weights_never_run(tmp_path: Path) -> None:
    folder, adapter, canary = small_llama(tmp_path / "small"), lora(tmp_path / "lora"), tmp_path / "canary"
    plain = generated(inspect(folder), Options(device="cpu", roots=(folder.parent,)))
    source, options = on_base(adapter, folder)
    tuned = generated(BACKENDS.get("adapter").inspect(source, "tuned", options), options)
    for index in (folder, adapter):
        plant(index, canary)
    mine = {"AutoConfig": "configuration_mine.Mine", "AutoModelForCausalLM": "modeling_mine.Mine"}
    edit(folder / "config.json", auto_map=mine)
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_mine.Mine", None]})
    edit(adapter / "adapter_config.json", auto_mapping={"base_model_class": "Mine", "parent_library": "modeling_mine"})
    assert generated(inspect(folder), Options(device="cpu", roots=(folder.parent,))) == plain
    assert generated(BACKENDS.get("adapter").inspect(source, "tuned", options), options) == tuned
    assert not canary.exists()
