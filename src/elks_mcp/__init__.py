"""Text through 46elks from an AI assistant, with limits."""
