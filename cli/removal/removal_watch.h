#pragma once

#include <map>
#include <string>
#include <vector>

// What the ConfigMap of a removal says, for people. Pure.
namespace heddle::cli {

using RemovalData = std::map<std::string, std::string>;

// Every node has let go.
bool IsGone(const RemovalData& data);
// A line for each key that is new or different, in order: "node worker-1: plain: 2 pods leave".
std::vector<std::string> Progress(const RemovalData& before, const RemovalData& now);
// One sentence: how far it is, and which nodes are waited for, with what they say. Empty when gone.
std::string WhatIsMissing(const RemovalData& data);

}  // namespace heddle::cli
