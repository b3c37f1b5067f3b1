"""Who this peer is, who its partners are and who works with it (DESIGN §4, §8)."""
