"""Pure mathematics on tensors and arrays: no names, no files, no state."""
