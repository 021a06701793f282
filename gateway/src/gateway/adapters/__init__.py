"""What touches the outside: gRPC, HTTP bodies, secrets."""
