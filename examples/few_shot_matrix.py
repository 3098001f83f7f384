"""How many solved examples help? Shots by template over the same rows, with 95 % intervals."""

from pathlib import Path

import genai_lab as gl


def main(home: Path, max_steps: int = 0, rows: int = 100, model: str = "starter-causal") -> None:
    with gl.open(home) as lab:
        reviews = lab.datasets.load("starter:sentiment", "reviews")
        print(reviews)
        matrix = lab.matrix(
            model,
            reviews,
            template=["classify-review", "classify-review-bare"],
            shots=[0, 4],
            selectors=["random"],
            metrics=["exact_match"],
            rows=rows,
            max_new_tokens=4,
        )
        print(matrix.wait(progress=True))
        print(matrix.to_pandas().pivot_table(index="template", columns="shots", values="value"))


if __name__ == "__main__":
    from common import options

    settings = options(__doc__)
    main(settings.home, rows=settings.rows, model=settings.model)
