"""Control plane: decides what runs, records it and judges it."""
