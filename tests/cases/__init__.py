"""Small inputs that once came out wrong, with the right answer."""
