"""One module per kind of run: each assembles batches, a step and hooks, and says what it found."""
