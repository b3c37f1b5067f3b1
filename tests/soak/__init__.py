"""Many partners at once for a long time, and certificates that change meanwhile: what must stay as it is, and does."""
