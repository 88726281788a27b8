"""The parts of the release check; `scripts/release.py` puts them together."""
