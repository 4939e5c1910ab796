"""The dock widgets: each edits a config, starts a job and shows its result."""
