"""Tests of speech: recordings, and programs that read a text aloud."""
