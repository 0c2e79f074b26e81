"""The integer path: accumulate a convolution of codes, requantise in floats or fixed point."""
