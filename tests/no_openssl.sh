#!/bin/sh
# OpenSSL's symbols have the names of BoringSSL's: a program that links both crashes or, worse, does not.
# Usage: no_openssl.sh PROGRAM...
for program in "$@"; do
  libraries=$(ldd "$program") || exit 1
  if echo "$libraries" | grep -E 'libssl|libcrypto|libgnutls'; then
    echo "$program loads another TLS library" >&2
    exit 1
  fi
done
