# BoringSSL: written by the crate shim; see third_party/boringssl.
