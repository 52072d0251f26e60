"""Curation: pseudo-labels of machines, decided by a person.  No Qt, no torch, no SQL.

``pool`` holds what is to be decided, ``view`` what is seen of it, ``deciding`` and ``likewise`` make edits of
decisions, ``measures`` and ``suggestions`` say where to look and what else it may be, ``geometry`` and ``phrases`` work
on many at once, ``provenance`` and ``progress`` tell what has been.
"""
