#pragma once

// Private to the files of this folder that speak to nghttp2.

#include <nghttp2/nghttp2.h>

#include <string_view>
#include <vector>

#include "lib/http/headers.h"

namespace heddle::http {

// Whether a field stays out of the compression table. Credentials: an attacker who sees sizes could
// guess them there (RFC 7541 section 7.1.3). What is another for each request: it would push out
// what repeats, and each end keeps its copy in a piece of memory of its own, which holds a page of a
// burst's memory long after the burst.
inline bool IsLeftUnindexed(std::string_view name) {
  return name == "authorization" || name == "cookie" || name == "forwarded" ||
         name == "traceparent";
}

// Views into `headers`, for one call into nghttp2, which copies.
inline std::vector<nghttp2_nv> ToFields(const Headers& headers) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(headers.size());
  for (const Header& header : headers) {
    const bool unindexed = IsLeftUnindexed(header.name);
    fields.push_back(
        {.name = reinterpret_cast<uint8_t*>(const_cast<char*>(header.name.data())),
         .value = reinterpret_cast<uint8_t*>(const_cast<char*>(header.value.data())),
         .namelen = header.name.size(),
         .valuelen = header.value.size(),
         .flags = static_cast<uint8_t>(unindexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
  return fields;
}

// The callback that nghttp2 pulls a stream's data with.
nghttp2_data_source_read_callback DataReader();
inline nghttp2_data_provider Body() {
  nghttp2_data_provider body{};
  body.read_callback = DataReader();
  return body;
}

}  // namespace heddle::http
