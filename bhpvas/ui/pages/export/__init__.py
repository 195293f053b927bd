"""ui/pages/export."""
