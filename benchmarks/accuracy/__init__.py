"""Accuracy of the cascade and of MONAI's networks under one budget, in one table."""
