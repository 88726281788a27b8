"""The parts of the crash test; `scripts/crash_test.py` puts them together."""
