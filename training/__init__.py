"""Training: recipes, losses, the training loop, and what weights gain."""
