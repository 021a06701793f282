"""What touches Kommo's hosts."""
