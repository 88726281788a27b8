"""Tests of the simulated 46elks."""
