"""VESL: captions become phrases, phrases become boxes.  What the steps are is in ``pipeline``; the run is a recipe.

Source: CLOC (arXiv:2410.02746), section 3, "visually-enriched and spatially-localized labels".
"""
