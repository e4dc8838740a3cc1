#include "controlplane/api/dns_name.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <cstddef>

namespace heddle::controlplane::api {
namespace {

constexpr size_t kMaxLabelBytes = 63;
constexpr size_t kMaxSubdomainBytes = 253;

bool IsNameByte(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; }

}  // namespace

bool IsDnsLabel(std::string_view text) {
  return !text.empty() && text.size() <= kMaxLabelBytes && text.front() != '-' &&
         text.back() != '-' && std::all_of(text.begin(), text.end(), IsNameByte);
}

bool IsDnsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > kMaxSubdomainBytes) return false;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string_view label = text.substr(begin, end - begin);
    const bool good = !label.empty() && label.front() != '-' && label.back() != '-' &&
                      std::all_of(label.begin(), label.end(), IsNameByte);
    if (!good) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace heddle::controlplane::api
