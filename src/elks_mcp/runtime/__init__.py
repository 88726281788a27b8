"""The process around the product: clock, tasks, logs, metrics, addresses, launching."""
