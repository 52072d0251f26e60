"""Picture files: what they are, their pixels, their content.

Pillow is the only decoder; window, engine and trainer see the same pixels.  No Qt, no SQL.  Nothing here ever writes
beside a picture; keeping thumbnails is `store.thumbnails`' work.
"""
