"""Measurements: they print figures and ratios, and never judge."""
