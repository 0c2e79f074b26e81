"""Reference implementation and test oracle for the rounding methods of post-training quantization."""

__version__ = "0.1.0"
