// The agent's word on the maps' layout, one higher. The layout itself is not another one: what is shown is
// that nobody goes as far as to look at it.
#include "bpf/hd_abi.h"

namespace {
constexpr unsigned kRelaid = HD_SCHEMA_VERSION + 1;
}

#undef HD_SCHEMA_VERSION
#define HD_SCHEMA_VERSION kRelaid
#include "agent/node/bpf_settings.cc"
