"""What every service of Kommo Mesh shares."""
