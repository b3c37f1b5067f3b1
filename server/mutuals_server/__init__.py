"""The long-running peer that answers partners: ``python -m mutuals_server --home DIR``."""

# Before any module here imports gRPC, which reads the settings made there only once.
import mutuals.transport  # noqa: F401
