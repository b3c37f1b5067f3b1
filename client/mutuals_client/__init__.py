"""The command line of a peer, and the side that starts runs."""
