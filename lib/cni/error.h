#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace heddle::cni {

// Error codes of the CNI specification 1.1.0, "Error", and ours from 110.
enum class ErrorCode {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kBadEnvironment = 4,
  kIo = 5,
  kDecode = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kNotAvailable = 50,         // STATUS: ADD would fail.
  kNotAvailableLimited = 51,  // STATUS: ADD would fail, and running containers may be limited.
  kAgentUnreachable = 110,
  kVerificationFailed = 111,
  kKernelFeatureMissing = 112,
};

// `msg` is a sentence an operator can act on; `details` may hold what a developer wants to know.
struct Error {
  ErrorCode code = ErrorCode::kIo;
  std::string msg;
  std::string details;
  friend bool operator==(const Error&, const Error&) = default;
};

template <typename T>
using CniResult = Result<T, Error>;

// The error object that goes to stdout, with a newline. `version` is the configuration's, or the newest supported one
// when it could not be read.
std::string ErrorJson(std::string_view version, const Error& error);

}  // namespace heddle::cni
