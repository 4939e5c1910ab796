"""The parts of a phantom fly: body, organs, tissues and how a scanner shows them."""
