"""(IA)3: three learned scales a layer."""

from typing import Any

from genai_lab.training.method import NoSettings, PeftMethod, task_of
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture


class Ia3(PeftMethod):
    name = "ia3"
    title = "(IA)3"
    about = (
        "Keys, values and the inner units of the feed-forward layers are scaled by learned vectors.\n"
        "The smallest adapter that changes weights."
    )
    source = (
        "Liu et al., 2022: Few-shot parameter-efficient fine-tuning is better and cheaper than in-context "
        "learning, section 3.3"
    )
    rate = 1e-2
    large_rate = 3e-3

    def config(self, module: Any, architecture: Architecture, settings: NoSettings, steps: int) -> Any:
        from peft import IA3Config

        return IA3Config(task_type=task_of(module, architecture))


METHODS.register("ia3")(Ia3())
