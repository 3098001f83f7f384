"""Two models on the same rows: intervals, a paired test in words, a metric of your own, a report."""

from pathlib import Path

import genai_lab as gl

MODELS = ("starter-seq2seq", "starter-causal")


@gl.metric(low=0.0)
def distinct_words(prediction: str) -> float:
    """How many different words a completion has."""
    return len(set(prediction.lower().split()))


def main(home: Path, max_steps: int = 0, rows: int = 100, models: tuple[str, ...] = MODELS) -> None:
    with gl.open(home) as lab:
        evaluation = lab.evaluate(
            models,
            "starter:sentiment",
            template="classify-review",
            metrics=["exact_match", distinct_words],
            rows=rows,
            max_new_tokens=4,
        ).wait(progress=True)
        print(evaluation)
        print(evaluation.to_pandas())
        print(evaluation.report(Path(home) / "report.html"))


if __name__ == "__main__":
    from common import options

    settings = options(__doc__)
    main(settings.home, rows=settings.rows)
