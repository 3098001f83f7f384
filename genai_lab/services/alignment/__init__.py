"""What policies wrote while they learned, and what that says of them."""

from genai_lab.services.alignment.rollouts import evaluations, folder, read, steps

__all__ = ["evaluations", "folder", "read", "steps"]
