"""Training recipes, as YAML."""
