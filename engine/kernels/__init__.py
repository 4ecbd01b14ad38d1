"""Compiled kernels: arrays and named tuples in, status codes out, no checks; their doors stand one level up."""
