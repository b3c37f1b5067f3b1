"""What ``import mutuals_client`` offers to programs and notebooks (docs/python.md): commands as methods."""
