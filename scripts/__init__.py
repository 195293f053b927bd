"""Programs that are run by hand: they train models, write case studies, check exports."""
