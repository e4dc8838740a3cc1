#pragma once

#include <optional>
#include <string>

#include "lib/cni/enrollment.h"

// The agent's run directory as the plugin sees it: tmpfs, so that all of it is gone after a boot.
namespace heddle::cni {

// enroll.json, if it can be read, is a file of ours that nobody else can write, and decodes.
std::optional<Enrollment> ReadEnrollment(const std::string& run_dir);

// The latch of STATUS: whether the agent has answered since the machine was booted. Setting it may fail silently: the
// next answer sets it.
bool HasAnswered(const std::string& run_dir);
void RememberAnswer(const std::string& run_dir);

}  // namespace heddle::cni
