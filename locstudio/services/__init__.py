"""What a person can do, without Qt."""
