"""A policy tuned by DPO on pairs, and the walk back to every dataset, annotator and seed behind it."""

from pathlib import Path

import genai_lab as gl

PAIRS = [
    {"prompt": f"Say hello to {name}.", "chosen": f"Hello {name}, how are you?", "rejected": f"{name}."}
    for name in ("Ann", "Bob", "Tom", "Lily", "Max", "Eva", "Sam", "Ida", "Leo", "Mia", "Ben", "Zoe", "Kim", "Jon")
]


def main(home: Path, max_steps: int = 100, rows: int = 100) -> None:
    with gl.open(home) as lab:
        policy = lab.tune_policy(
            PAIRS, "starter-causal", max_steps=max_steps, eval_steps=max(1, max_steps // 2), name="polite"
        ).wait(progress=True)
        print(policy.report["sentences"])
        print(lab.compare(["starter-causal", policy], "Say hello to Pam.", max_new_tokens=12, seed=1))

        lineage = policy.lineage()
        for node in lineage.nodes.values():
            print(f"{node.key}: {node.kind} {node.name}")


if __name__ == "__main__":
    from common import options

    settings = options(__doc__)
    main(settings.home, settings.max_steps)
