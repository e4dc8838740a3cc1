#pragma once

#include <string>

#include "cni-plugin/deadline.h"
#include "lib/base/result.h"
#include "lib/cni/protocol.h"

namespace heddle::cni {

// Why there is no answer.
struct NoAnswer {
  std::string reason;      // Part of a sentence: "connect to /run/heddle/cni.sock: No such file or directory".
  bool delivered = false;  // The agent may have seen the request, and may have begun to act on it.
};

// Sends the request, with the descriptor if it is not -1, and waits for the answer until the deadline. A socket whose
// queue is full is tried again until then.
Result<Reply, NoAnswer> AskAgent(const std::string& socket_path, const Request& request, int netns_fd,
                                 const Deadline& deadline);

}  // namespace heddle::cni
