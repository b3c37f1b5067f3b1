"""One module per command group; each has ``register(app)`` and imports what it needs inside its functions."""
