"""The operator's contacts: read from files, and found by what a caller writes for a person."""
