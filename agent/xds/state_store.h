#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/xds/held_resources.h"

// The file that keeps the last state of the control plane across restarts of the agent (/var/lib/heddle). Pure:
// bytes and values. The caller writes to a temporary name, syncs and renames, on a helper thread.
//
//     0   8  "HDSTATE" and the format's version, 1
//     8   8  length of the body, little endian
//    16   4  CRC-32C of the body, little endian
//    20   -  body: heddle.store.v1.StoredState
//
// Whoever can write the state directory is root on the node; the checksum is against torn and rotten files, not
// against people.
namespace heddle::agent {

// Largest file that is read: 100 times the state of a large cluster.
inline constexpr uint64_t kMaxStateFileBytes = 1ull << 30;

// A HeldResource and its name, as they lie in a file.
struct ResourceView {
  std::string_view name;
  std::string_view version;
  std::string_view value;
};

struct KindView {
  bool received = false;
  // As EncodeState() wrote them, which is not checked again: names are UTF-8, and none is there twice.
  std::vector<ResourceView> resources;
};

// HeldResources as they lie in a file, whose bytes outlive it.
using StateView = std::array<KindView, kResourceKinds>;

// Fails when the state is larger than can be read back.
absl::StatusOr<std::string> EncodeState(const HeldResources& held);
// Any body behind the header that fits it.
std::string WithHeader(std::string_view body);
// All or nothing: a file that is damaged anywhere is refused with a sentence, and the agent starts without a state.
absl::StatusOr<StateView> ViewState(std::string_view file);
// Copies of them all.
HeldResources HoldAll(const StateView& state);

}  // namespace heddle::agent
