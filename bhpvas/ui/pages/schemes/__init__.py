"""The page Schemes."""
