"""Rules and values: the same input gives the same output."""
