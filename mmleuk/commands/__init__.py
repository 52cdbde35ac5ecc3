"""The commands. They use several packages; only the console script and tools/ import them."""
