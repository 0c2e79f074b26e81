"""Layers: patches, convolution, linear, batch norm, ReLU and pooling, forward and backward."""
