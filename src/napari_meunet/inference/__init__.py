"""Volume in, labels out: planning, plane streaming and the paper's windows."""
