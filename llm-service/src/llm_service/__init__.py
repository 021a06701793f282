"""Replies: prompt, knowledge, model calls and guards."""
