#pragma once

#include <string>
#include <string_view>

#include "cni-plugin/deadline.h"
#include "lib/cni/invocation.h"

// The plugin between its inputs and its outputs: what each command of CNI 1.1.0 does.
//
//   ADD      The agent answers when the pod is captured, or with the reason why not. If it is away, only pods that are
//            known to be outside the mesh start (enrollment.h); all others get code 11, and the runtime tries again.
//   DEL      Never fails for what is gone already; if the agent is away, it releases the pod when it is back.
//   CHECK    The agent verifies the capture against the kernel.
//   STATUS   Code 50 until the agent has answered once after boot, from then on success without asking.
//   GC       Tells the agent what is still attached.
//   VERSION  Answered here.
namespace heddle::cni {

struct Output {
  std::string out;      // For standard output.
  std::string warning;  // One line for standard error; may be empty.
  int exit_code = 0;
};

// All waiting ends at the deadline.
Output Run(const Environment& environment, std::string_view config_text, const Deadline& deadline);

}  // namespace heddle::cni
