"""Benchmarks: each command prints one JSON object with ratios against a reference timed in the same run."""
