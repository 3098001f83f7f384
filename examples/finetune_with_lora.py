"""LoRA on a dataset, its curves, and the tuned model beside its base."""

from pathlib import Path

import genai_lab as gl

LABELS = {"positive": "good", "negative": "bad"}


def main(home: Path, max_steps: int = 100, rows: int = 100) -> None:
    with gl.open(home) as lab:
        reviews = lab.datasets.load("starter:sentiment")
        # Labels that the base has not seen, so that there is something to learn.
        renamed = [
            {"text": row["input"], "label": LABELS[row["reference"]], "split": row["split"]} for row in reviews.rows()
        ]
        data = lab.datasets.load(renamed, "good-or-bad", roles={"input": "text", "reference": "label"})

        tuned = lab.finetune(
            "starter-causal",
            data,
            method="lora",
            rank=8,
            template="Review: {{ input }}\nGood or bad?",
            max_steps=max_steps,
            learning_rate=2e-3,
            eval_steps=max(1, max_steps // 2),
            score_rows=min(20, rows),
            validation_rows=min(50, rows),
        ).wait(progress=True)
        print(tuned)
        print(tuned.curves)

        print(
            lab.evaluate(
                ["starter-causal", tuned],
                data,
                template="Review: {{ input }}\nGood or bad?",
                metrics=["exact_match"],
                rows=rows,
                max_new_tokens=4,
            ).wait(progress=True)
        )


if __name__ == "__main__":
    from common import options

    settings = options(__doc__)
    main(settings.home, settings.max_steps, settings.rows)
