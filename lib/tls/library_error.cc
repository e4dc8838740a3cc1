#include "lib/tls/library_error.h"

#include <openssl/err.h>

#include <algorithm>

namespace heddle::tls {

std::string TakeLibraryError() {
  const uint32_t packed = ERR_get_error();
  ERR_clear_error();
  const char* reason = packed == 0 ? nullptr : ERR_reason_error_string(packed);
  if (reason == nullptr) return "no reason given";
  // BoringSSL's reasons are identifiers: CERTIFICATE_VERIFY_FAILED.
  std::string text = reason;
  std::ranges::transform(text, text.begin(), [](char c) {
    if (c == '_') return ' ';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

}  // namespace heddle::tls
