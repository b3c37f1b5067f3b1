"""The wire format, generated from proto/mutuals/v1 by scripts/generate_proto.py; nothing here is written by hand."""
