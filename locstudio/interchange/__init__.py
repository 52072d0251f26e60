"""Annotation files of other programs, read and written as values.

Files from strangers: every row is checked, a bad row never takes the good ones with it, and nothing that a file says of
paths is believed.  No dataset and no pixels here; putting values into a dataset is `services.importing`'s work.
"""
