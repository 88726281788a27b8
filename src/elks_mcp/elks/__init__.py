"""46elks' API. Nothing else knows its words."""
