"""AQuant: borders, in closed form and learnt, the quantizer around them, and its rivals."""
