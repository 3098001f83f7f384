"""Options that all examples share."""

import argparse
from pathlib import Path


def options(description: str | None) -> argparse.Namespace:
    """`--home`, `--model`, `--max-steps` and `--rows`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--home", type=Path, default=Path(__file__).parent / "lab_data")
    parser.add_argument("--model", default="starter-causal", help="that writes (default: starter-causal)")
    parser.add_argument("--max-steps", type=int, default=100, help="of training (default: 100)")
    parser.add_argument("--rows", type=int, default=100, help="that are measured (default: 100)")
    return parser.parse_args()
