"""Archives of the field, read as their authors distribute them."""
