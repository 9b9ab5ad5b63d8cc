"""Sources of the patches of interventions."""
