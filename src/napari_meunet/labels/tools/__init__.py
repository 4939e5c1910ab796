"""Tools that change labels: in a plane, a box or everywhere, in little memory."""
