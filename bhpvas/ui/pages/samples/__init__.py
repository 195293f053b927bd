"""ui/pages/samples."""
