"""Values and rules of the trade: boxes, regions, edits, errors.

No Qt, SQL, torch or files.  Everything here is frozen and may cross threads.
"""
