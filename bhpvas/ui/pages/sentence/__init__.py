"""The page Sentence."""
