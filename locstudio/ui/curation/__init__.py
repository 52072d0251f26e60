"""The curation page: what models proposed, decided by one key each, in a gallery of crops."""
