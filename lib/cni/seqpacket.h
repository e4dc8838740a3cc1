#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

// One message with at most one descriptor on a connected SEQPACKET socket; both ends of the plugin's protocol use it.
namespace heddle::cni {

struct ReceivedMessage {
  std::string bytes;  // Empty: the peer has closed.
  UniqueFd fd;        // Close-on-exec; not valid if none came.
};

// Errors are errno values. Neither call waits: EAGAIN says that the socket is not ready.

// Sends the message whole, or not at all. `fd` is -1 or the descriptor to pass.
Result<void, int> SendMessage(int socket, std::string_view bytes, int fd);
// Takes one message. A message longer than kMaxMessageBytes, or with more than one descriptor, is EMSGSIZE or EPROTO;
// its descriptors are closed.
Result<ReceivedMessage, int> ReceiveMessage(int socket);

}  // namespace heddle::cni
