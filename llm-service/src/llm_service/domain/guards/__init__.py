"""What a reply of a model has to pass before a client reads it."""
