"""Stores conversations, hands out their turns and deliveries, and decides who speaks in them."""
