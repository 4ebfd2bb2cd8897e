"""A doctor for machines with AMD GPUs."""

__version__ = "0.1.0"
