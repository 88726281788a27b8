"""Tests of the tables that spreadsheets write, and of what is read from them."""
