"""The kinds of run, by where their work lies."""
