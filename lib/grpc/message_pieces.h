#pragma once

#include <cstddef>
#include <string>

namespace heddle::grpc {

// A message that is made while it is sent, so that a large one is nowhere as a whole.
class MessagePieces {
 public:
  virtual ~MessagePieces() = default;
  // Of the whole message; does not change.
  virtual size_t size() const = 0;
  // Appends the next bytes, at least one; not called when all are there. A piece as large as the
  // caller may hold: some tens of KiB.
  virtual void AppendNext(std::string& out) = 0;
};

}  // namespace heddle::grpc
