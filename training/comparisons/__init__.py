"""The papers' central comparisons in miniature, as YAML."""
