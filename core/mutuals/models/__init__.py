"""What the words of the project mean, as frozen models: no I/O, no cryptography, no protobuf."""
