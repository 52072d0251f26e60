"""Heatmaps on the screen: over the picture, in their panel, and on their page.

What a heatmap says and how it is corrected is ``services.heat``'s; nothing here reads a run's files.
"""
