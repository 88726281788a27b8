"""Everything that 46elks delivers: history, webhooks, replies."""
