"""The page Roles."""
