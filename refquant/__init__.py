"""Reference implementation and test oracle for post-training quantization rounding."""

__version__ = "0.1.0"
