"""A cascade as a filter over planes; knows nothing of files, plans or machines."""
