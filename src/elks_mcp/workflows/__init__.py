"""Workflows of many steps and a long time: alerts that go on until somebody answers."""
