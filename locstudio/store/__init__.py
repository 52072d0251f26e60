"""The dataset of a project: schema, migrations, reads, edits, snapshots, backups.  The only SQL of the house.

One writer thread owns the only read-write connection; reads may come from any thread.  What a person sees of it is
``ui``'s work, what she can do with it is ``services``'.
"""
