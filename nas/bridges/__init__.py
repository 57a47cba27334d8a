"""Jobs of a store in the forms of other tools."""
