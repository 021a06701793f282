"""The worker half of the gateway: it takes turns and delivers what they wrote."""
