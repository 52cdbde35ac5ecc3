"""A misspelt key is an error."""


def check_config_keys(cfg):
    """Check."""
