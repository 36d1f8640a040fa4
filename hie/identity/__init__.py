"""Who somebody is: accounts, sessions, registered clients, and the OAuth 2 authorization server."""
