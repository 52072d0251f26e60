"""Looking at heatmaps that a run keeps, correcting them, and finding what is expected but not labelled.

Numpy only; reading the files is ``jobs.heatmaps``, writing them is the trainer's, drawing them is ``ui.heatmaps``'s.
"""
