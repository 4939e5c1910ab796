"""How commands read what is typed, and what they print."""
