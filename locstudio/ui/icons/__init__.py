"""Our own small icons: line drawings on a 16 px grid, in the colours of the theme."""
