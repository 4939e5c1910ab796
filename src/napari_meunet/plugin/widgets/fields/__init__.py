"""What a person fills in."""
