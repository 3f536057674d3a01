"""Benchmarks: each compares callboard with a raw primitive in the same run.

`python -m benchmarks [NAME ...] [--strict] [--large]` runs all, or those named.
"""
