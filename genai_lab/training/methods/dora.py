"""DoRA: LoRA for the direction of a weight, and its length trained apart."""

from genai_lab.training.methods import METHODS
from genai_lab.training.methods.lora import Lora


class Dora(Lora):
    name = "dora"
    title = "DoRA"
    about = (
        "As LoRA, but the length of each weight's columns is trained apart from their direction.\n"
        "Closer to full fine-tuning at the same rank, but slower."
    )
    source = "Liu et al., 2024: DoRA, weight-decomposed low-rank adaptation, eq. 5"
    rate = 2e-3
    large_rate = 2e-4
    dora = True


METHODS.register("dora")(Dora())
