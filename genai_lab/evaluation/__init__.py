"""What may be said of figures: intervals, paired tests, verdicts; and what matches between two texts."""
