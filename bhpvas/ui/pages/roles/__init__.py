"""ui/pages/roles."""
