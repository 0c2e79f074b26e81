"""`fake_quant`, LSQ+ and AdaQuant with their gradients, log-sqrt2, and ranges to parameters."""
