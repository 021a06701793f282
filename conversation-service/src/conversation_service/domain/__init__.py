"""Rules and values of conversations: same input, same output."""
