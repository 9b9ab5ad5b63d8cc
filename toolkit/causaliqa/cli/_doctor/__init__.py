"""What is installed, what of it is broken, and what a command would download."""
