"""The guards: what may keep a text from going out."""
