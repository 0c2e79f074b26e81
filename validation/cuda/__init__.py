"""Kernels for NVIDIA GPUs, held against the oracle: CUDA C++ through CuPy, Triton, PyTorch, JAX."""
