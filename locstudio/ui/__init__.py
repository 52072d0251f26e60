"""Everything a person sees.  The only room that knows Qt; it decides nothing.

Panels show the values they are given and emit wishes; ``locstudio.app`` connects them to the services.  Off the
window's thread there are three doors and no fourth: ``LatestOnly``, the dataset worker and child processes.
"""
