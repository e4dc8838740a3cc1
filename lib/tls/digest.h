#pragma once

#include <string>
#include <string_view>

namespace heddle::tls {

// SHA-256 of the bytes (FIPS 180-4): 32 bytes. Any thread.
std::string Sha256(std::string_view bytes);

}  // namespace heddle::tls
