"""The integer path: accumulate a convolution of codes, requantize in floats or fixed point."""
