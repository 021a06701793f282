"""Messages in, one call, messages out."""
