"""Programs: the versions of what a network has configured."""
