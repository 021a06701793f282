"""The migrations of the mesh's database."""
