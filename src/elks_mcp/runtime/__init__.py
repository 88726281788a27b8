"""The process around the product: time, tasks, logs, metrics, standard output."""
