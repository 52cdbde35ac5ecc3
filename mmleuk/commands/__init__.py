"""The commands that use several packages; nothing but the console script and tools/ imports them."""
