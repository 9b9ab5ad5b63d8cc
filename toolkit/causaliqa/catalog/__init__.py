"""Who provides a name, and how it is built."""
