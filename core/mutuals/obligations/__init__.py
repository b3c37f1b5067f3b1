"""What the parties owe each other beside the exchange: deletion, withdrawal, word of a breach, word of good use."""
