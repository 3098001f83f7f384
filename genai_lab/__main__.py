"""`python -m genai_lab`: the command line, whose groups of commands lie in `genai_lab.cli`."""

from genai_lab.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
