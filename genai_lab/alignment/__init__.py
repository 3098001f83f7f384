"""Reinforcement learning on completions: rollouts, advantages, divergences, the clipped objective, what is recorded."""
