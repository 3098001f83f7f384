"""The shipped models: a small world, tasks drawn from it, and recipes that train on them."""
