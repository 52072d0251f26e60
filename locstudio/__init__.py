"""LocStudio: a desktop studio for region-level vision data sets and models."""

__version__ = "0.1.0"
