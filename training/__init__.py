"""Training: recipes, losses, optimisers, the training loop, and what weights gain."""
