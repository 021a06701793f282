"""One function a use case, one transaction a function."""
