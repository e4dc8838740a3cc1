"""scripts/demo.sh: a small shop on two nodes, and what the mesh does for it, step by step."""
