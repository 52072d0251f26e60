"""Which expert looks at which image: the page, the panel of an image, and the superclasses."""
