"""AdaLoRA: LoRA whose rank is given to the layers that need it."""

from dataclasses import dataclass
from typing import Any

from genai_lab.errors import LabError
from genai_lab.settings import check_settings, setting
from genai_lab.training.method import PeftMethod, task_of
from genai_lab.training.methods import METHODS
from genai_lab.training.plan import Architecture

SENSES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
LEFT = "rank_pattern"


@dataclass(frozen=True)
class Settings:
    rank: int = setting(8, "Mean rank of a layer at the end.", 1, 256)
    start: int = setting(12, "Rank of every layer at the beginning.", 1, 512)
    alpha: float = setting(16.0, "The product is scaled by alpha / rank.", 0.1, 2048.0)
    orthogonal: float = setting(0.5, "Weight of the penalty on factors that are not orthogonal.", 0.0, 10.0)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.start < self.rank:
            raise LabError(
                f"The rank at the beginning ({self.start}) is below that at the end ({self.rank}); raise it."
            )


class Adalora(PeftMethod):
    name = "adalora"
    title = "AdaLoRA"
    about = (
        "As LoRA, with singular values between the thin matrices; the least important ones are pruned on the "
        "way,\n"
        "so that rank goes to the layers that need it."
    )
    source = "Zhang et al., 2023: AdaLoRA, adaptive budget allocation, eq. 3 and 4"
    rate = 3e-3
    large_rate = 5e-4
    settings = Settings
    needs_whole_weights = True

    def config(self, module: Any, architecture: Architecture, settings: Settings, steps: int) -> Any:
        from peft import AdaLoraConfig

        return AdaLoraConfig(
            task_type=task_of(module, architecture),
            target_r=settings.rank,
            init_r=settings.start,
            lora_alpha=settings.alpha,  # type: ignore[arg-type]
            target_modules="all-linear",
            orth_reg_weight=settings.orthogonal,
            total_step=max(3, steps),
            tinit=max(0, steps // 10),
            tfinal=max(1, steps // 3),
            deltaT=max(1, steps // 50),
        )

    def penalty(self, module: Any) -> Any:
        """Mean over factors of |A^T A - I|^2, times its weight."""
        import torch

        total, count = None, 0
        for name, weight in module.named_parameters():
            if ("lora_A" in name or "lora_B" in name) and weight.requires_grad:
                gram = weight @ weight.T if "lora_A" in name else weight.T @ weight
                off = torch.norm(gram - torch.eye(len(gram), device=gram.device, dtype=gram.dtype), p="fro")
                total, count = off if total is None else total + off, count + 1
        weight = module.peft_config["default"].orth_reg_weight
        return None if total is None else weight * total / count

    def after_step(self, module: Any, step: int) -> None:
        module.base_model.update_and_allocate(step)

    def state(self, module: Any) -> dict[str, Any]:
        """The running importance of every singular value, and which of them are left."""
        import torch

        allocator = module.base_model.rankallocator
        rank_pattern = module.peft_config["default"].rank_pattern or {}
        return {
            **{f"{sense}/{name}": value for sense in SENSES for name, value in getattr(allocator, sense).items()},
            **{f"{LEFT}/{name}": torch.tensor(value) for name, value in rank_pattern.items()},
        }

    def restore(self, module: Any, state: dict[str, Any]) -> None:
        allocator, rank_pattern = module.base_model.rankallocator, {}
        for key, value in state.items():
            sense, _, name = key.partition("/")
            if sense == LEFT:
                rank_pattern[name] = value.tolist()
            else:
                getattr(allocator, sense)[name] = value
        module.peft_config["default"].rank_pattern = rank_pattern or None


METHODS.register("adalora")(Adalora())
