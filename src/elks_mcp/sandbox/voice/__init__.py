"""Phone calls in the sandbox: their log, the voice actions, sounds and recordings."""
