"""QLoRA: LoRA beside a base whose weights are kept in four bits."""

from importlib.util import find_spec
from typing import Any

from genai_lab.training.methods import METHODS
from genai_lab.training.methods.lora import Lora
from genai_lab.training.plan import Architecture


class Qlora(Lora):
    name = "qlora"
    title = "QLoRA"
    about = (
        "LoRA beside a base that is read in four bits (NF4), for models that would not fit otherwise.\n"
        "Needs a CUDA GPU and the package bitsandbytes."
    )
    source = "Dettmers et al., 2023: QLoRA, efficient finetuning of quantized LLMs, section 3"
    rate = 1e-3
    large_rate = 2e-4
    mergeable = False
    needs_whole_weights = True

    def refusal(self) -> str | None:
        import torch

        if not torch.cuda.is_available():
            return "QLoRA needs a CUDA GPU, and this machine has none; LoRA does the same with more memory."
        if find_spec("bitsandbytes") is None:
            return "QLoRA needs the package bitsandbytes; install it, or choose LoRA."
        return None

    def load_arguments(self) -> dict[str, Any]:
        import torch
        from transformers import BitsAndBytesConfig

        return {
            "quantization_config": BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            )
        }

    def apply(self, module: Any, architecture: Architecture, settings: Any, steps: int) -> Any:
        from peft import prepare_model_for_kbit_training

        return super().apply(prepare_model_for_kbit_training(module), architecture, settings, steps)


METHODS.register("qlora")(Qlora())
