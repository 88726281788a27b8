"""Tests of what operators do: back up, restore, upgrade, watch."""
