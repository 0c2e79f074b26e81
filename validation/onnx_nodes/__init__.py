"""ONNX's node tests in refquant's words: read, computed by library and twin, and compared."""
