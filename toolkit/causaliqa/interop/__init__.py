"""Everything that knows pyiqa's insides."""
