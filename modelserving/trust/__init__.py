"""Whose code may run: what a folder holds byte for byte, who vouched for it, and the only unsafe calls."""
