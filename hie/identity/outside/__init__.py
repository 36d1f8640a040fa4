"""Persons whose identity somebody outside vouches for: the city's app, WeChat, a hospital's directory."""
