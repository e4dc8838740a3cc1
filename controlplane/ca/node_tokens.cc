#include "controlplane/ca/node_tokens.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <sys/random.h>

#include <cerrno>
#include <memory>

#include "controlplane/ca/private_file.h"
#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::controlplane::ca {
namespace {

constexpr size_t kMaxNodeNameBytes = 253;

bool IsToken(std::string_view text) {
  return text.size() == kNodeTokenDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string MakeToken() {
  char bytes[kNodeTokenDigits / 2];
  // Never short for so few bytes (getrandom(2)).
  CHECK(::getrandom(bytes, sizeof bytes, 0) == static_cast<ssize_t>(sizeof bytes));
  return absl::BytesToHexString(absl::string_view(bytes, sizeof bytes));
}

// Looks at every byte whatever the first difference.
bool EqualInConstantTime(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace

bool IsNodeName(std::string_view name) {
  const auto is_edge = [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  return !name.empty() && name.size() <= kMaxNodeNameBytes && is_edge(name.front()) &&
         is_edge(name.back()) &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
}

absl::StatusOr<NodeTokens> NodeTokens::Open(const std::string& directory) {
  TRY_STATUS(MakePrivateDirectory(directory));
  NodeTokens tokens(directory);
  TRY_STATUS(tokens.LoadAll());
  return tokens;
}

absl::Status NodeTokens::LoadAll() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(directory_.c_str()), ::closedir);
  if (directory == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory_, ": cannot read this directory"));
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (IsNodeName(name)) Load(name);
  }
  return absl::OkStatus();
}

void NodeTokens::Load(const std::string& node) {
  const auto text = ReadPrivateFile(absl::StrCat(directory_, "/", node), Secrecy::kSecret);
  const std::string token =
      text.ok() ? std::string(absl::StripTrailingAsciiWhitespace(*text)) : std::string();
  if (IsToken(token)) {
    tokens_.emplace(node, token);
    return;
  }
  unusable_.insert(node);
  LOG_ERROR("token.unusable", KV("node", node),
            KV("reason", text.ok() ? absl::InvalidArgumentError("is not 64 hexadecimal digits; "
                                                                "remove it to have a new one made")
                                   : text.status()));
}

bool NodeTokens::Ensure(const std::set<std::string>& nodes) {
  bool all = true;
  for (const std::string& node : nodes) {
    if (tokens_.contains(node) || unusable_.contains(node) || !IsNodeName(node)) continue;
    const std::string token = MakeToken();
    const absl::Status made = CreatePrivateFile(absl::StrCat(directory_, "/", node), token + "\n");
    if (made.ok()) {
      tokens_.emplace(node, token);
      LOG_INFO("token.made", KV("node", node));
    } else if (absl::IsAlreadyExists(made)) {
      Load(node);
    } else {
      LOG_ERROR("token.make.failed", KV("node", node), KV("error", made));
      all = false;
    }
  }
  return all;
}

std::optional<std::string> NodeTokens::NodeOf(std::string_view token) const {
  const std::string* found = nullptr;
  size_t matches = 0;
  for (const auto& [node, expected] : tokens_) {
    if (!EqualInConstantTime(token, expected)) continue;
    found = &node;
    ++matches;
  }
  if (matches != 1) return std::nullopt;
  return *found;
}

}  // namespace heddle::controlplane::ca
