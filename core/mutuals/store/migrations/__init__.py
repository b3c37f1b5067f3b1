"""The history of the schema, run by ``mutuals.store.migrate``. A released migration never changes."""
