"""How much a person has to correct, with and without a model that learns."""
