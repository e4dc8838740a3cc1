#include "controlplane/translate/resource.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>

namespace heddle::controlplane::translate {

std::string ContentVersion(std::string_view body) {
  // FNV-1a, 128 bits: offset basis and prime of draft-eastlake-fnv-17 section 5.
  using Word = unsigned __int128;
  Word hash = (Word{0x6c62272e07bb0142} << 64) | 0x62b821756295c58d;
  constexpr Word kPrime = (Word{1} << 88) | 0x13b;
  for (const char c : body) hash = (hash ^ static_cast<uint8_t>(c)) * kPrime;
  std::string text(32, '0');
  for (size_t i = text.size(); i-- > 0; hash >>= 4)
    text[i] = "0123456789abcdef"[static_cast<unsigned>(hash & 15)];
  return text;
}

Resource MakeResource(std::string name, const google::protobuf::MessageLite& message) {
  Resource resource{.name = std::move(name)};
  {
    google::protobuf::io::StringOutputStream stream(&resource.body);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  resource.version = ContentVersion(resource.body);
  return resource;
}

void SortResources(ResourceSet& resources) {
  std::sort(resources.begin(), resources.end(), [](const Resource& a, const Resource& b) {
    return std::tie(a.name, a.version) < std::tie(b.name, b.version);
  });
  const auto same_name = [](const Resource& a, const Resource& b) { return a.name == b.name; };
  resources.erase(std::unique(resources.begin(), resources.end(), same_name), resources.end());
}

}  // namespace heddle::controlplane::translate
