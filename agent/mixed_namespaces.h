#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <map>
#include <string>
#include <string_view>

namespace heddle::agent {

// Namespaces in which a pod's own label differed from the namespace's within the last 24 hours:
// another such pod may come while the agent is away, and the CNI plugin cannot see labels. A value;
// as text it is kept on disk, so that neither a restart nor a boot forgets.
class MixedNamespaces {
 public:
  static constexpr absl::Duration kMemory = absl::Hours(24);
  // Times are rounded up to this, so that the text changes at most so often.
  static constexpr absl::Duration kStep = absl::Hours(1);
  // Many more than a node's pods have. When more come, all namespaces count as mixed for a day.
  static constexpr size_t kMaxNamespaces = 4096;

  // Seen now. Empties what is over.
  void Note(const std::string& name_space, absl::Time now);
  void Expire(absl::Time now);
  bool Contains(const std::string& name_space) const;

  // For a day from now every namespace counts: what was known is lost.
  void Distrust(absl::Time now);

  // {"version":1,"everything":TIME,"namespaces":{"lab":TIME}}, times as of RFC 3339.
  std::string Encode() const;
  // INVALID_ARGUMENT for what Encode() would not have written.
  static absl::StatusOr<MixedNamespaces> Decode(std::string_view text);

 private:
  std::map<std::string, absl::Time> until_;
  absl::Time everything_until_ = absl::InfinitePast();
};

}  // namespace heddle::agent
