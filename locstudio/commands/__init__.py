"""What each command of the command line does, a module for each group.  Parsing is in ``locstudio.cli``.

A command takes the parsed options, prints to stdout and returns an exit status; errors are raised as ``UserError``.
"""
