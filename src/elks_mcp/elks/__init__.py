"""46elks' API: the only package that uses its names and formats."""
