"""Files, the sentence encoder and profiles."""
