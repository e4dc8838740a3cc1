#pragma once

#include "lib/base/task.h"
#include "lib/io/loop.h"
#include "lib/kube/api_client.h"
#include "lib/kube/line_splitter.h"
#include "lib/kube/reflector_state.h"

namespace heddle::kube {

// Longest event of a watch: etcd takes objects of 1.5 MiB, and JSON makes them up to three times as
// long.
inline constexpr size_t kMaxEventBytes = size_t{8} * 1024 * 1024;

// Follows the objects of one kind over an ApiClient: moves bytes between it and a ReflectorState.
// Tells the sink in slices, so that a page of large objects does not hold the loop. Threads: one
// loop. Client, sink and random outlive it.
class Reflector {
 public:
  Reflector(io::Loop& loop, ApiClient& client, ReflectorOptions options, ObjectSink& sink,
            Random& random);

  // Follows until stopped. Once.
  Task<void> Run(StopToken stop);

  const ReflectorState& state() const { return state_; }

 private:
  Task<void> List(std::string path, StopToken stop);
  Task<void> TakePage(const ListPage& page);
  Task<void> Watch(std::string path, StopToken stop);
  Task<std::string> Follow(ApiStream& stream);
  Task<bool> TakeLines(LineSplitter& lines);
  Task<void> YieldWhenLong();

  io::Loop& loop_;
  ApiClient& client_;
  ReflectorState state_;
  ObjectSink& sink_;
  MonotonicTime slice_began_;
};

}  // namespace heddle::kube
