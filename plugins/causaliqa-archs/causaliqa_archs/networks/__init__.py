"""One file for each architecture or family, written from the papers; parameter names are those of public checkpoints."""
