"""Logs that were changed, cut, reordered, put back or forked: `make audit` shows what notices which."""
