"""How implementations of one thing are timed side by side, and what is kept of it."""
