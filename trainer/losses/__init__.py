"""Losses: pure functions of tensors, each beside its citation and its derivation by hand in the tests."""
