#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/cni/error.h"
#include "lib/cni/invocation.h"
#include "lib/cni/network_config.h"

// What the plugin and the agent say to each other: one SEQPACKET message each way on the agent's socket, both JSON so
// that `socat` and `strace` show them plainly.
//
//   request  {"v":1,"command":"ADD","containerId":"c1","netns":"/run/netns/a","ifname":"eth0","network":"pods",
//             "pod":{"namespace":"default","name":"web-0","uid":"..."},"ips":["10.0.1.2"],"attachments":[]}
//            ADD and CHECK carry the network namespace as the one descriptor of SCM_RIGHTS; the others carry none.
//   reply    {"v":1,"code":0,"msg":"","details":""}; code 0 is success, others are ErrorCode's.
//
// The agent decides everything: which pod is captured, and that the DEL of an interface other than the one captured at
// ADD releases nothing. A version it does not know is answered with code 1. Encoding and decoding are pure; decoding
// believes nothing and never fails in another way than by its result.
namespace heddle::cni {

inline constexpr int kProtocolVersion = 1;
inline constexpr size_t kMaxMessageBytes = 64 * 1024;
// What fits into a message with room to spare; a node has far fewer containers.
inline constexpr size_t kMaxAttachments = 400;
// Longer sentences are cut.
inline constexpr size_t kMaxReplyTextBytes = 4096;

struct Request {
  Command command = Command::kStatus;
  std::string container_id;
  std::string netns;  // The runtime's path of the namespace; the agent watches it to learn of the pod's end.
  std::string ifname;
  std::string network;
  PodReference pod;
  std::vector<std::string> ips;
  std::vector<Attachment> attachments;  // GC only: what shall stay.
  friend bool operator==(const Request&, const Request&) = default;
};

// code 0 is success.
struct Reply {
  int code = 0;
  std::string msg;
  std::string details;
  friend bool operator==(const Reply&, const Reply&) = default;
};

// Whether a request of this command comes with the descriptor of a network namespace.
bool CarriesNetns(Command command);

// Fails (code 5) only if the message would be longer than kMaxMessageBytes.
CniResult<std::string> EncodeRequest(const Request& request);
// Checks version, command, the form of every field, and that what the command needs is there. Code 1 for another
// version of the protocol, 6 for a message that is none, 4 for a field that is missing or malformed.
CniResult<Request> DecodeRequest(std::string_view message);

std::string EncodeReply(const Reply& reply);
CniResult<Reply> DecodeReply(std::string_view message);

}  // namespace heddle::cni
