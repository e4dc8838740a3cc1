// Tokens as callers send them and answers of an API server: the first byte says which the rest is.

#include <cstddef>
#include <cstdint>

#include "controlplane/callers/token_claims.h"
#include "controlplane/callers/token_review.h"
#include "lib/base/check.h"

namespace callers = heddle::controlplane::callers;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 't') {
    (void)callers::ReadClaims(text);
    CHECK(!callers::TokenReviewFor(text).empty());
    return 0;
  }
  const auto reviewed = callers::ReadTokenReview(text, {{"heddle-system", "heddle-agent"}});
  // Whoever is let in has proved all of it.
  if (reviewed.has_value()) {
    CHECK(reviewed->account.name == "heddle-agent");
    CHECK(!reviewed->pod.name.empty() && !reviewed->pod_uid.empty());
  } else {
    CHECK(!reviewed.error().sentence.empty());
  }
  return 0;
}
