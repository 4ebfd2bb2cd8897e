"""Verdicts as text and as JSON. Pure: values in, strings out."""
