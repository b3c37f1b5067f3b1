"""mutuals: find the contacts you share with a partner; reveal nothing else."""

__version__ = "0.1.0"
