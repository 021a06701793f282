"""Rules of the gateway: same input, same output."""
