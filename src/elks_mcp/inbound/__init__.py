"""What 46elks tells us: history, webhooks, replies."""
