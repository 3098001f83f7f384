"""Trainers of the objectives: transformers' and TRL's, each with the lab's order, curves and checkpoints."""
