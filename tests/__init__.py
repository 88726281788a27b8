"""The tests. What several of them share stands beside them, without `test_` before its name."""
