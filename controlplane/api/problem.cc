#include "controlplane/api/problem.h"

#include <absl/strings/str_cat.h>

#include "lib/base/strings.h"

namespace heddle::controlplane::api {

std::string_view Describe(Problem::Effect effect) {
  switch (effect) {
    case Problem::Effect::kNothing: return "it has no effect";
    case Problem::Effect::kLastGoodKept: return "the last good version stays in effect";
    case Problem::Effect::kDenyAll: return "everything it selects is denied";
    case Problem::Effect::kExcludesNothing: return "what it selects is captured without exclusions";
    case Problem::Effect::kNothingServed: return "nothing is served until it can be read";
    case Problem::Effect::kStrict: return "what it selects takes mutual TLS only";
  }
  return "";
}

std::string Problem::ToString() const {
  std::string text = file;
  if (line > 0) absl::StrAppend(&text, ":", line);
  if (!text.empty()) absl::StrAppend(&text, ": ");
  if (object.has_value()) {
    absl::StrAppend(&text, object->ToString(), ": ");
  } else if (!kind.empty()) {
    absl::StrAppend(&text, kind, ": ");
  }
  absl::StrAppend(&text, reason, "; ", ToAbsl(Describe(effect)));
  return text;
}

}  // namespace heddle::controlplane::api
