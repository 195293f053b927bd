"""ui/pages/sentence."""
