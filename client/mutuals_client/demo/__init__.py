"""`mutuals demo`: two invented companies, their customer lists, and the story of what happens between them."""
