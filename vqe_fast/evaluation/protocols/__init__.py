"""Settings of the papers' tables, as YAML."""
