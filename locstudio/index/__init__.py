"""Region embeddings on disk, and nearest-neighbour search over them.

Numpy, and faiss where it is installed; no torch.  Filling an index is the trainer's ``embed``; showing hits is the
window's.  An index belongs to one checkpoint and carries its id; the two are never mixed.
"""
