"""Annotators rank completions; their pairs train a reward model, which scores other completions."""

from pathlib import Path

import genai_lab as gl

PROMPTS = [f"Once there was a {noun}" for noun in ("boy", "girl", "dog", "cat", "king", "bird", "man", "boat")]


def prefers_long(prompt: str, completions: list[str]) -> int:
    """Stands for a person here: the longer completion is better."""
    return max(range(len(completions)), key=lambda number: len(completions[number]))


def prefers_short(prompt: str, completions: list[str]) -> int:
    return min(range(len(completions)), key=lambda number: len(completions[number]))


def main(home: Path, max_steps: int = 100, rows: int = 100) -> None:
    with gl.open(home) as lab:
        campaign = lab.campaigns.create(
            "Which beginning of a story is better?",
            prompts=PROMPTS,
            models=["starter-causal"],
            n=2,
            temperatures=[0.7, 1.2],
            max_new_tokens=16,
            overlap=2,
            kind="ranking",
        ).wait(progress=True)
        campaign.open()
        print(campaign.invite("ann").path)  # a person opens this link below the app's address
        for name in ("ann", "bob"):
            campaign.annotate(name, prefers_long if name == "ann" else prefers_short)
        print(campaign.annotators())
        print(campaign.agreement().figures)

        reward = campaign.train_reward(max_steps=max_steps, eval_steps=max(1, max_steps // 2)).wait(progress=True)
        print(reward.report["sentences"])
        print(lab.score(reward, ["Once there was a mouse"] * 2, ["in a box.", "in a box. It was small and grey."]))


if __name__ == "__main__":
    from common import options

    settings = options(__doc__)
    main(settings.home, settings.max_steps)
