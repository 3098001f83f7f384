"""Runs in which a policy learns from its own completions: one step writes a batch, rewards it and updates on it.

The order of prompts, the weights, the optimiser and the KL's weight are in a checkpoint, and completions are drawn by
generators made of (seed, step, row): a run that was killed goes on as if it had not been.
"""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from transformers import Trainer

from genai_lab.alignment.divergence import ESTIMATES, KlController
from genai_lab.alignment.estimators import ESTIMATORS, Advantages, Episode, masked_mean
from genai_lab.alignment.policy_loss import explained_variance, policy_loss, token_weights, value_loss
from genai_lab.alignment.records import EVALUATIONS, ROLLOUTS, rollout_path
from genai_lab.errors import LabError
from genai_lab.rewards import reward_roles
from genai_lab.rewards.scoring import load_scorer
from genai_lab.training.experience import EVALUATION, Experience, ExperienceMaker
from genai_lab.training.lab_trainer import Diverged, LabTrainer, TrainingSetup, arguments
from genai_lab.training.loading import ends_of, load_module
from genai_lab.training.policy_reading import as_matrix

KL_STATE = "kl.json"
ADAM_EPSILON = 1e-5
# An update ends early where the policy has left the one that wrote the completions this far.
RATIOS, MOST_OLD_KL = (0.8, 1.25), 0.05
BATCHES_OF_BETA = 1  # in which beta changes by what its error says; runs are short, so it is few
LOOKED_AT = 3  # batches after which a reward that never differs is reported


class PolicyTrainer(LabTrainer, Trainer):
    """One step is one batch of completions with all updates on it."""

    def __init__(self, setup: TrainingSetup) -> None:
        inputs = setup.inputs
        self.settings: Any = inputs.objective_settings
        self.estimator = ESTIMATORS.get(inputs.objective.estimator)  # type: ignore[attr-defined]
        if self.estimator.needs_values:
            setup.module.value_head = ValueHead(setup.module)
        super().__init__(setup, args=arguments(inputs, setup.out, adam_epsilon=ADAM_EPSILON))
        rows = self.settings.num_generations * inputs.training.per_device_batch_size
        self.controller = KlController(self.settings.beta, self.settings.target_kl, horizon=BATCHES_OF_BETA * rows)
        self.shape = self.settings.loss_shape()
        self.ends = ends_of(setup.module, setup.tokenizer)
        self._frozen = self._reference_copy()
        folders = {name: inputs.models[role] for role, name in reward_roles(self.settings.parts).items()}
        scorer = load_scorer(self.settings.parts, folders, str(self.args.device))
        self._maker: ExperienceMaker | None = None
        self._scorer = scorer
        self._figures: list[dict[str, float]] = []
        self._spread: list[float] = []

    @property
    def policy(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The module that the KL is measured against."""
        if self._frozen is not None:
            yield self._frozen
        else:
            with self.policy.disable_adapter():
                yield self.policy

    @property
    def maker(self) -> ExperienceMaker:
        if self._maker is None:
            self._maker = ExperienceMaker(self, self.tokenizer, self.train_features.context, self._scorer, self.ends)
        return self._maker

    def create_optimizer(self, model: Any = None) -> Any:
        """A value head has a rate of its own."""
        head = getattr(self.policy, "value_head", None)
        if head is None or self.optimizer is not None:
            return super().create_optimizer()
        own = {id(weight) for weight in head.parameters()}
        rest = [w for w in self.policy.parameters() if w.requires_grad and id(w) not in own]
        rate = self.args.learning_rate
        groups = [{"params": rest}, {"params": list(head.parameters()), "lr": rate * self.settings.value_rate}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=rate, eps=ADAM_EPSILON, weight_decay=self.args.weight_decay, betas=(0.9, 0.999)
        )
        return self.optimizer

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Writes, rewards and reads a batch, and updates on it; the gradient of the last update is left to the loop."""
        model.eval()  # no dropout: the first ratio is 1 and the first KL 0
        step, seed = self.state.global_step + 1, self.args.seed
        experience = self.maker.make(inputs["prompts"], self.settings.num_generations, seed, step)
        self.tokens += int(experience.mask.sum()) + sum(map(len, experience.prompts))
        penalty = self._penalty(experience)
        episode = Episode(experience.score, penalty, experience.mask, experience.groups, experience.values)
        advantages = self.estimator.advantages(episode, self.settings)
        self._keep(experience, advantages, step)
        began = time.perf_counter()
        loss, figures = self._update(model, experience, advantages)
        figures |= self._describe(experience, episode, advantages)
        figures["seconds updating"] = time.perf_counter() - began
        self._figures.append(figures)
        self._check(experience, step)
        self.controller.update(float(experience.completion_kl.mean()), len(experience))
        return loss

    def measure(self) -> dict[str, float]:
        """What the policy earns on the validation prompts, with the same draws each time."""
        rows = [self.validation[position] for position in range(len(self.validation))]
        experience = self.maker.make(rows, 1, self.args.seed, EVALUATION)
        step = self.state.global_step
        self._write(self.out / EVALUATIONS, experience.record(step, self.args.seed), step)
        kl = experience.completion_kl
        figures = {
            "objective": float((experience.score - self.settings.beta * kl).mean()),
            "score": float(experience.score.mean()),
            "KL": float(kl.mean()),
            **_shape_of(experience),
        }
        return figures | _parts_of(experience)

    def curves(self) -> dict[str, float]:
        seen, self._figures = self._figures, []
        names = dict.fromkeys(name for figures in seen for name in figures)
        return {name: float(np.mean([figures[name] for figures in seen if name in figures])) for name in names}

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        super().save_model(output_dir, _internal_call)
        path = (Path(output_dir) if output_dir else self.out) / KL_STATE
        path.write_text(json.dumps({"beta": self.controller.beta}))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.controller.beta = json.loads((Path(resume_from_checkpoint) / KL_STATE).read_text())["beta"]

    def _penalty(self, experience: Experience) -> torch.Tensor:
        """(B, T) what the KL takes from the reward of each token, 0 where it is in the loss."""
        if self.settings.kl_in_loss:
            return torch.zeros_like(experience.old)
        return self.controller.beta * ESTIMATES["k1"](experience.old, experience.reference) * experience.mask

    def _update(self, model: Any, experience: Experience, advantages: Advantages) -> tuple[Any, dict[str, float]]:
        """(the first update's loss, figures of the last one); stops where the policy has moved too far."""
        mask = self._learned(experience)
        weights = token_weights(mask, self.shape)
        first: float | None = None
        figures: dict[str, float] = {}
        updates = 0
        for iteration in range(self.settings.num_iterations):
            if iteration:
                self._optimise(model)
            loss, figures = self._backward(model, experience, advantages, mask, weights)
            if not math.isfinite(loss):
                raise Diverged("loss", self.state.global_step + 1, self._get_learning_rate(), self.last_good())
            first = loss if first is None else first
            if iteration and _too_far(figures):
                model.zero_grad()
                break
            updates += 1
        return torch.tensor(first), figures | {"updates": float(updates)}

    def _optimise(self, model: Any) -> None:
        if self.args.max_grad_norm:
            self.accelerator.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        model.zero_grad()
        self.method.after_step(self.policy, self.state.global_step + 1)

    def _learned(self, experience: Experience) -> torch.Tensor:
        """(B, T) the tokens that are learned from: all, or none of completions that were cut."""
        if not getattr(self.settings, "mask_truncated_completions", False):
            return experience.mask
        ended = torch.tensor([one.ended for one in experience.completions], device=experience.mask.device)
        return experience.mask & ended[:, None]

    def _backward(
        self, model: Any, experience: Experience, advantages: Advantages, mask: torch.Tensor, weights: torch.Tensor
    ) -> tuple[float, dict[str, float]]:
        """Gradients of all parts of the batch; (the loss, figures of the ratio)."""
        total, ratios, clipped = 0.0, torch.ones_like(experience.old), torch.zeros_like(mask)
        prompts, ids = experience.prompts, experience.ids
        value_errors = 0.0
        for rows in self.maker.parts([len(a) + len(b) for a, b in zip(prompts, ids, strict=True)]):
            with self.compute_loss_context_manager():
                reading = self.maker.reader.read(model, [prompts[row] for row in rows], [ids[row] for row in rows])
            width = max(len(ids[row]) for row in rows)
            real = experience.mask[rows, :width]
            log_probs = as_matrix(reading.log_probs(), real)
            result = policy_loss(
                log_probs, experience.old[rows, :width], advantages.tokens[rows, :width], mask[rows, :width],
                weights[rows, :width], self.shape,
            )  # fmt: skip
            loss = result.total
            if estimate := self.settings.kl_in_loss:
                kl = ESTIMATES[estimate](log_probs, experience.reference[rows, :width])
                loss = loss + self.controller.beta * (kl * weights[rows, :width]).sum()
            if advantages.returns is not None and experience.values is not None:
                values = as_matrix(self.policy.value_head(reading.hidden.detach())[:, 0], real)
                error = value_loss(
                    values, experience.values[rows, :width], advantages.returns[rows, :width],
                    real / experience.mask.sum(), self.settings.cliprange_value,
                )  # fmt: skip
                loss = loss + self.settings.vf_coef * error
                value_errors += float(error.detach())
            self.accelerator.backward(loss)
            total += float(loss.detach())
            ratios[rows, :width], clipped[rows, :width] = result.ratio, result.clipped
        log_ratio = ratios.log() * mask
        figures = {
            "ratio": float(masked_mean(ratios, mask)),
            "clip share": float(masked_mean(clipped.float(), mask)),
            "KL to the old policy": float(masked_mean(ratios - 1 - log_ratio, mask)),
        }
        return total, figures | ({"value loss": value_errors} if advantages.returns is not None else {})

    def _describe(self, experience: Experience, episode: Episode, advantages: Advantages) -> dict[str, float]:
        """Figures of a batch: sums are per completion, in nats where they are of log-probabilities."""
        kl, count = experience.completion_kl, len(experience)
        figures = {
            "score": float(experience.score.mean()),
            "KL": float(kl.mean()),
            "KL standard error": float(kl.std() / count**0.5) if count > 1 else 0.0,
            "sampled KL": float(((experience.old - experience.reference) * experience.mask).sum(-1).mean()),
            "KL penalty": float(self.controller.beta * kl.mean()),
            "objective": float((experience.score - self.controller.beta * kl).mean()),
            "beta": self.controller.beta,
            "entropy": float(masked_mean(experience.entropy, experience.mask)),
            "engine difference": experience.drift,
            **_shape_of(experience),
            **_parts_of(experience),
            **{f"seconds {phase}": seconds for phase, seconds in experience.seconds.items()},
        }
        if advantages.returns is not None and experience.values is not None:
            variance = explained_variance(experience.values, advantages.returns, experience.mask)
            figures["value explained variance"] = variance
        else:
            figures["prompts of equal reward"] = advantages.flat_groups
        return figures

    def _keep(self, experience: Experience, advantages: Advantages, step: int) -> None:
        tokens = {"advantages": advantages.tokens}
        if advantages.returns is not None and experience.values is not None:
            tokens |= {"values": experience.values, "returns": advantages.returns}
        self._write(self.out / ROLLOUTS, experience.record(step, self.args.seed, **tokens), step)

    def _write(self, folder: Path, record: Any, step: int) -> None:
        try:
            record.write(rollout_path(folder, step))
        except OSError as problem:
            reason = problem.strerror or str(problem)
            kept = self.last_good()
            raise LabError(
                f"The completions of step {step} cannot be written ({reason}); free some space and resume the run"
                f"{f', which goes on from step {kept}' if kept else ''}."
            ) from problem

    def _check(self, experience: Experience, step: int) -> None:
        """Stops where the policy has left its reference, and says what makes a batch useless."""
        kl = float(experience.completion_kl.mean())
        if kl > self.settings.max_kl:
            kept = self.last_good()
            raise LabError(
                f"The KL to the reference is {kl:,.0f} nats per completion at step {step}, above the limit of "
                f"{self.settings.max_kl:g}{f'; the checkpoint of step {kept} is kept' if kept else ''}. Lower the "
                "learning rate, or raise beta."
            )
        self._spread.append(float(experience.scores.total.std()))
        if len(self._spread) == LOOKED_AT and not any(self._spread):
            value = float(experience.scores.total[0])
            self._note(
                "constant",
                f"Every completion of the first {LOOKED_AT} batches has earned {value:.4g}, so that nothing but the KL "
                "is learned; look whether the reward fits these prompts.",
            )
        if not any(experience.texts):
            self._note("empty", f"Every completion of step {step} is empty: the policy ends at once.")
        if not any(one.ended for one in experience.completions):
            length = self.settings.max_completion_length
            self._note(
                "cut", f"No completion of step {step} ended within {length} tokens; raise max_completion_length."
            )

    def _note(self, key: str, text: str) -> None:
        """Says it once in a run."""
        self.reporter.record({"key": f"policy {key}", "note": text})

    def _reference_copy(self) -> Any:
        """The plan's reference, or the base where the policy has no adapter that could be switched off; else None."""
        folder = self.inputs.models.get("reference")
        if folder is None and isinstance(self.model, PeftModel):
            return None
        module = load_module(folder or self.inputs.base, self.inputs.architecture, self.objective.module_kind)
        return module.to(self.args.device).eval().requires_grad_(False)


class ValueHead(torch.nn.Linear):
    """(N, H) states before the head of the policy -> (N, 1) values, 0 before the first step.

    States are scaled to a root mean square of 1, since encoder-decoders hand small ones to their heads.
    """

    def __init__(self, module: Any) -> None:
        base = module.get_base_model() if hasattr(module, "get_base_model") else module
        super().__init__(base.get_output_embeddings().weight.shape[-1], 1)
        torch.nn.init.zeros_(self.weight)
        torch.nn.init.zeros_(self.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.nn.functional.rms_norm(hidden, hidden.shape[-1:]))


def _too_far(figures: dict[str, float]) -> bool:
    low, high = RATIOS
    return not low < figures["ratio"] < high or figures["KL to the old policy"] > MOST_OLD_KL


def _shape_of(experience: Experience) -> dict[str, float]:
    return {
        "completion length": float(experience.mask.sum(-1).float().mean()),
        "ended": float(np.mean([completion.ended for completion in experience.completions])),
    }


def _parts_of(experience: Experience) -> dict[str, float]:
    """The mean of each part of the score, before its weight."""
    scores = experience.scores
    return {f"reward: {label}": float(value) for label, value in zip(scores.labels, scores.parts.mean(0), strict=True)}
