"""Training: degradation by real encoders, patch sampling, recipes and the training loop."""
