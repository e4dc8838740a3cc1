#include "lib/cni/error.h"

#include "lib/cni/json.h"

namespace heddle::cni {

std::string ErrorJson(std::string_view version, const Error& error) {
  std::string json = "{\"cniVersion\":" + QuoteJson(version);
  json += ",\"code\":" + std::to_string(static_cast<int>(error.code));
  json += ",\"msg\":" + QuoteJson(error.msg);
  if (!error.details.empty()) json += ",\"details\":" + QuoteJson(error.details);
  json += "}\n";
  return json;
}

}  // namespace heddle::cni
