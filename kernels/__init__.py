"""Triton kernels, one file per operator; imported only when a CUDA tensor needs one."""
