"""The model process: one long-lived child of the window that embeds, grounds and proposes.

``python -m locstudio.engine --checkpoint DIR --cache DIR``; the words it speaks are `jobs.engine_messages`.  It dies
with the window.  The command line uses ``EngineSession`` in its own process.
"""
