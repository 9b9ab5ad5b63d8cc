"""One file for each architecture or family, written from the papers; parameters are named as in public checkpoints."""
