#include "lib/tls/digest.h"

#include <openssl/sha.h>

#include <cstdint>

namespace heddle::tls {

std::string Sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
         reinterpret_cast<uint8_t*>(digest.data()));
  return digest;
}

}  // namespace heddle::tls
