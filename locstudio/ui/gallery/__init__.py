"""The images of a collection as a grid of tiles: any number of rows, nothing read or decoded on the window's thread."""
