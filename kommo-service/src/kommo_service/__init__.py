"""Everything that is said to Kommo."""
