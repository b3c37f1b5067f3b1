"""The long-running peer that answers partners: ``python -m mutuals_server --home DIR``."""
