"""ui/pages/workbench."""
