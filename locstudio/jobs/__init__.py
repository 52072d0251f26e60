"""The contract between processes: messages, run folders, run configurations.

One JSON object per line, ``kind`` first, exact fields, no NaN.  Files are the truth, the pipe is the doorbell: a
trainer appends every message to ``events.jsonl`` in its run folder before it prints it.
"""
