"""The Kubernetes test cluster: its programs (build.py, binaries/), the cluster (cluster/), and its use by hand."""
