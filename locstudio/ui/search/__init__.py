"""Region search as a person sees it: what is looked for, phrases that fit it, and where it is found."""
