"""What comes with the toolkit, registered through the hooks as any plugin's is."""
