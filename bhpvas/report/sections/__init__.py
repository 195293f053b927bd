"""Sections of a report, each from what was measured: one module each."""
