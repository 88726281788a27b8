"""The reference of error texts: finding them in the source, and writing docs/errors.md."""
