"""Fetches and proves the parts of a portal's backup."""
