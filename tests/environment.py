"""The environment of processes that tests start: none of the HIE_ variables of whoever runs them."""

import os


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the environment without HIE_ variables, then `settings`, whose names are those of variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HIE_")} | settings


def laboratory(**settings: str) -> dict[str, str]:
    """Return a clean environment of processes that ask nobody who they are; a server is one process only."""
    return clean_environment(**{"HIE_AUTH": "off", "HIE_WEB_PROCESSES": "1", **settings})
