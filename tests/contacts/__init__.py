"""Tests of the contacts that are read from files."""
