"""The tests. Helpers that several of them share are in `support/` and `tables/`."""
