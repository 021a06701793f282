"""Pages and their texts, as data."""
