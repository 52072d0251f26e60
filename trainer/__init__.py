"""The trainer: one process per run, ``python -m trainer RUN_FOLDER``.

Reads the frozen snapshot of its run folder, writes nothing outside it, and says every event first to ``events.jsonl``,
then on stdout.  There is one loop; reporting, saving and evaluating are hooks; a recipe assembles.  Nobody imports it.
"""
