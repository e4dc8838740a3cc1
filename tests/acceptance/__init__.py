"""Heddle as users have it: installed by helm on a cluster of two real nodes, and watched from outside."""
