"""What a network is trained on: patches of specimens, and what is done to them."""
