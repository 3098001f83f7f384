"""A completion, its tokens, a stream, a conversation, a replay."""

from pathlib import Path

import genai_lab as gl


def main(home: Path, max_steps: int = 0, rows: int = 0, model: str = "starter-causal") -> None:
    with gl.open(home) as lab:
        print(lab.models.list())

        run = lab.generate(model, "Once there was", temperature=0.7, max_new_tokens=30, seed=1, trace=3)
        print(run)
        for token in run.tokens[:3]:
            alternatives = [f"{each.text!r} {each.probability:.2f}" for each in token.stages[0].alternatives]
            print(f"{token.text!r} among {', '.join(alternatives)}")

        for text in lab.stream(model, "The dog", max_new_tokens=20, seed=2):
            print(text, end="", flush=True)
        print()

        chat = lab.chat(model, max_new_tokens=20, seed=3)
        print(chat.say("Write a story about a boat.").text)

        assert run.replay().text == run.text
        print(lab.compare([model], ["Once there was", "One day a boy"], max_new_tokens=10, seed=1))


if __name__ == "__main__":
    from common import options

    settings = options(__doc__)
    main(settings.home, model=settings.model)
