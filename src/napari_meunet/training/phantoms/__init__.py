"""Phantom flies: body, organs, tissues and how a scanner shows them."""
