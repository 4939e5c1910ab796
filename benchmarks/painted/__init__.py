"""What a few painted planes of one scan are enough for."""
