"""Making the bundled checkpoint ``cloc-lite``: ``python -m trainer.bundle --data DIR --out FOLDER``.

Only developers run this; the data are development data and are not shipped.
"""
