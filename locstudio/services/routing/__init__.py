"""Which expert looked at which image: what a run has written of it, beside what the dataset says now."""
