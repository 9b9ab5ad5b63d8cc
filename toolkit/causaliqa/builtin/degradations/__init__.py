"""What degrades the images of effect maps."""
