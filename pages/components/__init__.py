"""What pages are built of: theme, heads, forms, token map, plots, figures in a row, errors in one sentence."""
